"""The HTTP door: AWS JSON 1.0 for stock boto3, the AWS CLI and activity workers.

This room knows bytes, and nothing of what an action means. A request is read (:mod:`.protocol`), its signature is
recomputed (:mod:`.sigv4`) with the keys of the store's folder (:mod:`.keys`), and then it is one call of
``Service.call(action, parameters)``, whose answer or error is written as AWS writes it. :mod:`.app` puts that behind
ASGI, :mod:`.serve` behind a socket, :mod:`.inprocess` behind a boto3 client without any socket, and
:mod:`.environment` says which variables lead a stock client here.
"""

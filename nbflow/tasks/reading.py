"""The items of a Distributed Map (ASL, "Reading Items"; AWS guide, "ItemReader (Map)").

``Resource`` says how (getObject: the items in an object; listObjectsV2: the objects themselves, or with
LOAD_AND_FLATTEN the items in all of them), ``Parameters`` where, ``ReaderConfig`` what is in it. A manifest is an
object that lists other objects.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import Any, Final, TypeAlias

from nbflow.language.paths import compact
from nbflow.language.values import Json
from nbflow.machine.distributed import Item
from nbflow.tasks import parsing, places, queries
from nbflow.tasks.parsing import READER_FAILED
from nbflow.tasks.places import S3, Source, Unreadable, failing

Client: TypeAlias = Callable[[], Any]
"""Answers a boto3 client; asked only where S3 is meant."""

MOST_ITEMS: Final = 100_000_000
"""Items that AWS reads at most; a larger MaxItems counts as this (AWS guide, "ItemReader")."""


def read_items(
    resource: str, parameters: Json, config: Json, *, s3: Any = None
) -> Generator[Item, None, None]:
    """The items that an ItemReader reads, one by one, in the order of the data.

    ``parameters`` (Parameters or Arguments) and ``config`` (ReaderConfig, or None) are evaluated already: MaxItems is
    a number. Instead of AWS's Bucket and Key or Prefix, ``parameters`` may hold a ``Uri``: a local path, a glob or
    any fsspec URL; with the InputType SQL, the URL of a database, beside ``Query`` and ``Bind``. ``s3`` is a boto3
    client; by default one is made, by the ``AWS_*`` variables, when it is needed.

    Nothing is opened before the first item is asked for. Close the iterator to close what it reads. Raises
    ItemsFailed (States.ItemReaderFailed), also after some items: then the rest cannot be read.
    """
    config = config if isinstance(config, dict) else {}
    limit = min(int(config.get("MaxItems", MOST_ITEMS)), MOST_ITEMS)
    parameters = parameters if isinstance(parameters, dict) else {}
    where = queries.address_of(parameters) if config.get("InputType") == "SQL" else _where(parameters)
    with (
        failing(READER_FAILED, where),
        closing(_items(resource, parameters, config, s3)) as items,
    ):
        yield from islice(items, limit)


def _where(parameters: dict[str, Json]) -> str:
    if "Bucket" in parameters:
        return f"{S3}{parameters['Bucket']}/{parameters.get('Key', parameters.get('Prefix', ''))}"
    return str(parameters.get("Uri", "ItemReader"))


def _listing_of(parameters: dict[str, Json]) -> str:
    """The source of what is listed (AWS guide, "Context object": the address of the bucket)."""
    return f"{S3}{parameters['Bucket']}" if "Bucket" in parameters else _where(parameters)


def _items(
    resource: str, parameters: dict[str, Json], config: dict[str, Json], s3: Any
) -> Generator[Item, None, None]:
    action = resource.rpartition(":")[2]
    if action not in _SOURCES:
        raise Unreadable(f"items are read by s3:getObject or s3:listObjectsV2, not by {resource}")
    with places.s3_access(s3) as client:
        if config.get("InputType") == "SQL":
            yield from _queried(action, parameters)
            return
        sources = _SOURCES[action](parameters, client)
        if action == "listObjectsV2":
            yield from _listed(sources, config, _listing_of(parameters))
        elif "ManifestType" in config or config.get("InputType") == "MANIFEST":
            yield from _manifested(sources, config, client)
        else:
            yield from _contents(sources, config)


def _queried(action: str, parameters: dict[str, Json]) -> Generator[Item, None, None]:
    if action != "getObject":
        raise Unreadable("InputType SQL is for s3:getObject: a query is not listed")
    source = queries.address_of(parameters)
    with closing(queries.query_rows(parameters)) as rows:
        for row in rows:
            yield Item(row, source)


# --- which objects


def _objects(parameters: dict[str, Json], s3: Client) -> Iterator[Source]:
    """The object that GetObject's parameters name; the file of a Uri, or the files that its glob matches."""
    uri = _uri(parameters, "Key")
    if uri and not uri.startswith(S3):
        return places.files(uri)
    if uri and places.has_glob(uri):
        return places.some(places.s3_below(s3(), uri))
    if uri:
        parameters = dict(zip(("Bucket", "Key"), places.s3_address(uri), strict=True))
    return iter([places.s3_object(s3(), parameters)])


def _listing(parameters: dict[str, Json], s3: Client) -> Iterator[Source]:
    """The objects that ListObjectsV2 lists; the files below the folder of a Uri."""
    uri = _uri(parameters, "Prefix")
    if uri and not uri.startswith(S3):
        return places.files_below(uri)
    return places.s3_below(s3(), uri) if uri else places.s3_listing(s3(), parameters)


def _uri(parameters: dict[str, Json], other: str) -> str | None:
    """The Uri, or None where there is a Bucket."""
    if "Bucket" in parameters:
        return None
    uri = parameters.get("Uri")
    if not isinstance(uri, str) or not uri:
        raise Unreadable(f"the parameters name no place: give Bucket and {other}, or Uri")
    return uri


_SOURCES: Final = {"getObject": _objects, "listObjectsV2": _listing}
"""By the action at the end of Resource."""


# --- what is in them


def _contents(sources: Iterable[Source], config: dict[str, Json]) -> Iterator[Item]:
    open_of = places.opened_anywhere if config.get("InputType") == "PARQUET" else places.opened
    for source in sources:
        with failing(READER_FAILED, source.name), open_of(source) as file:
            for found in parsing.items_in(file, config):
                if type(found) is parsing.Member:
                    yield Item(found.value, source.name, found.key)
                else:
                    yield Item(found, source.name)


def _listed(sources: Iterator[Source], config: dict[str, Json], where: str) -> Iterator[Item]:
    """What the listing says of each object, or what is in it (AWS guide, "ItemReader": Transformation)."""
    transformation = config.get("Transformation", "NONE")
    if transformation == "NONE":
        return (Item(source.item, where) for source in sources)
    if transformation != "LOAD_AND_FLATTEN":
        raise Unreadable(f"Transformation {compact(transformation)} is not one of NONE, LOAD_AND_FLATTEN")
    return _contents((source for source in sources if not _is_folder(source)), config)


def _is_folder(source: Source) -> bool:
    """S3 has no folders: its console marks them by empty objects, which hold no items."""
    return source.name.endswith("/") and not source.item["Size"]


# --- manifests


def _manifested(sources: Iterator[Source], config: dict[str, Json], s3: Client) -> Iterator[Item]:
    kind = config.get("ManifestType", "S3_INVENTORY")
    read = _MANIFESTS.get(str(kind))
    if read is None:
        raise Unreadable(f"ManifestType {compact(kind)} is not one of {', '.join(_MANIFESTS)}")
    for source in sources:
        with failing(READER_FAILED, source.name):
            yield from read(source, config, s3)


def _athena(source: Source, config: dict[str, Json], s3: Client) -> Iterator[Item]:
    """What UNLOAD wrote: the manifest has the address of an object in each line (AWS guide, "ItemReader": Athena)."""
    if config.get("InputType") not in _ATHENA:
        raise Unreadable(
            f"ManifestType ATHENA_DATA needs an InputType of {', '.join(_ATHENA)}, as UNLOAD wrote them"
        )
    with source.open() as file, parsing.unpacked(file) as text:
        found = [line.strip().strip('"') for _, line in parsing.lines(text)]
    addresses = [places.s3_address(line) for line in found if line]
    objects = (places.s3_object(s3(), {"Bucket": bucket, "Key": key}) for bucket, key in addresses)
    return _contents(objects, config)


def _inventory(source: Source, config: dict[str, Json], s3: Client) -> Iterator[Item]:
    """The objects that an S3 inventory in CSV lists (AWS guide, "ItemReader": Amazon S3 inventory)."""
    with source.open() as file, parsing.unpacked(file) as text:
        manifest = parsing.decoded(text.read(), "the manifest")
    if not isinstance(manifest, dict) or not {"destinationBucket", "fileSchema", "files"} <= manifest.keys():
        raise Unreadable(
            "not the manifest.json of an S3 inventory: destinationBucket, fileSchema or files is missing"
        )
    if manifest.get("fileFormat", "CSV") != "CSV":
        raise Unreadable(
            f"the inventory is in {manifest['fileFormat']}; Step Functions reads inventories in CSV only"
        )
    headers = [name.strip() for name in manifest["fileSchema"].split(",")]
    bucket = manifest["destinationBucket"].rpartition(":")[2]
    objects = (places.s3_object(s3(), {"Bucket": bucket, "Key": each["key"]}) for each in manifest["files"])
    return _contents(objects, {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": headers})


_ATHENA: Final = ("CSV", "JSONL", "PARQUET")
_MANIFESTS: Final = {"ATHENA_DATA": _athena, "S3_INVENTORY": _inventory}

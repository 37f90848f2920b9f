BEGIN TRANSACTION;
CREATE TABLE activities (
	arn TEXT NOT NULL, 
	name TEXT NOT NULL, 
	options TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	PRIMARY KEY (arn)
);
CREATE TABLE aliases (
	arn TEXT NOT NULL, 
	machine_arn TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	routing TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	PRIMARY KEY (arn)
);
INSERT INTO "aliases" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices:latest','arn:aws:states:us-east-1:000000000000:stateMachine:prices','latest',NULL,'[{"stateMachineVersionArn": "arn:aws:states:us-east-1:000000000000:stateMachine:prices:1", "weight": 100}]',1.79575861689124655724e+09,1.79575861689124655724e+09);
CREATE TABLE artifacts (
	sha256 VARCHAR(64) NOT NULL, 
	kind TEXT NOT NULL, 
	bytes BIGINT NOT NULL, 
	rows BIGINT, 
	columns BIGINT, 
	file TEXT NOT NULL, 
	preview TEXT, 
	made_at DOUBLE NOT NULL, 
	touched_at DOUBLE NOT NULL, 
	PRIMARY KEY (sha256)
);
INSERT INTO "artifacts" VALUES('6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb','dataframe',1606,3,1,'66/6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb.parquet','{"type":"pandas.DataFrame","columns":["x"],"dtypes":["int64"],"index":["0","1","2"],"head":[[0],[1],[2]]}',1.79575861657636570928e+09,1.79575861662104773516e+09);
INSERT INTO "artifacts" VALUES('dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093','dataframe',1615,5,1,'df/dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093.parquet','{"type":"pandas.DataFrame","columns":["x"],"dtypes":["int64"],"index":["0","1","2","3","4"],"head":[[0],[1],[2],[3],[4]]}',1.79575861665381193155e+09,1.79575861665381193155e+09);
CREATE TABLE definitions (
	sha256 VARCHAR(64) NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (sha256)
);
INSERT INTO "definitions" VALUES('5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375','{"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"item.$": "$$.Map.Item.Value"}, "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "Price", "States": {"Price": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:price", "End": true, "Parameters": {"item.$": "$.item", "tries.$": "$$.State.RetryCount"}, "Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 1}], "Catch": [{"ErrorEquals": ["NoPrice"], "ResultPath": "$.error", "Next": "Free"}]}, "Free": {"Type": "Pass", "End": true}}}, "End": true}}}');
INSERT INTO "definitions" VALUES('69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','{"StartAt": "Table", "States": {"Table": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:table", "Assign": {"table.$": "$"}, "ResultPath": null, "Next": "Count"}, "Count": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:count", "End": true, "Parameters": {"data.$": "$table"}, "ResultPath": "$.count"}}}');
INSERT INTO "definitions" VALUES('5d8d0a15babcceabdfbdeae2bd4324bd1e1c01f4b7a47efde6679c7d0c19a3cc','{"StartAt": "Table", "States": {"Table": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:table", "End": true}}}');
INSERT INTO "definitions" VALUES('ce8b6fb64783549bd35c91608fbb35fb4162558575172e61d9957ff1fb77e741','{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 99999999, "End": true}}}');
INSERT INTO "definitions" VALUES('ab48a665cfda8cca4dd0b11c18f066494ca78acfd06addb4656f4318f1fe8880','{"StartAt": "Both", "States": {"Both": {"Type": "Parallel", "Branches": [{"StartAt": "One", "States": {"One": {"Type": "Wait", "Seconds": 99999999, "End": true}}}, {"StartAt": "Two", "States": {"Two": {"Type": "Wait", "Seconds": 99999999, "End": true}}}], "End": true}}}');
CREATE TABLE executions (
	id INTEGER NOT NULL, 
	arn TEXT NOT NULL, 
	name TEXT NOT NULL, 
	machine_arn TEXT NOT NULL, 
	definition VARCHAR(64) NOT NULL, 
	status TEXT NOT NULL, 
	input TEXT NOT NULL, 
	output TEXT, 
	error TEXT, 
	cause TEXT, 
	started_at DOUBLE NOT NULL, 
	stopped_at DOUBLE, 
	bindings TEXT, 
	version_arn TEXT, 
	alias_arn TEXT, 
	revision TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (arn)
);
INSERT INTO "executions" VALUES(1,'arn:aws:states:us-east-1:000000000000:execution:prices:retried','retried','arn:aws:states:us-east-1:000000000000:stateMachine:prices','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375','SUCCEEDED','{"items": [0, 1, 2, 3]}','[0,10,{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}},30]',NULL,NULL,1.79575861544321393973e+09,1.79575861646164560312e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:price": {"kind": "function", "name": "price", "path": "work.py", "sha256": "195554738da34d0a15b30506e6621336ad7a86c629e4ad216669f5106f850ff6"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758615.4383662, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
INSERT INTO "executions" VALUES(2,'arn:aws:states:us-east-1:000000000000:execution:steps:whole','whole','arn:aws:states:us-east-1:000000000000:stateMachine:steps','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','SUCCEEDED','{"rows": 3}','{"rows":3,"count":3}',NULL,NULL,1.79575861647953367232e+09,1.7957586165809481144e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:count": {"kind": "function", "name": "count", "path": "work.py", "sha256": "47479239cfdab02ee2e6134b9c50081b5260375e216fe4e7fbdd6b9f5aee31d5"}, "arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758616.4720273, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
INSERT INTO "executions" VALUES(3,'arn:aws:states:us-east-1:000000000000:execution:steps:failed','failed','arn:aws:states:us-east-1:000000000000:stateMachine:steps','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','FAILED','{"rows": 3}',NULL,'ZeroDivisionError','{"errorMessage": "integer division or modulo by zero", "errorType": "ZeroDivisionError", "stackTrace": ["Traceback (most recent call last):\n", "  File \"work.py\", line 32, in broken\n", "    return len(data) // 0\n", "           ~~~~~~~~~~^^~~\n", "ZeroDivisionError: integer division or modulo by zero\n"]}',1.79575861659104418755e+09,1.79575861662539458269e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:count": {"kind": "function", "name": "count", "path": "work.py", "sha256": "61e48873f05d0cc4301fb8d1cda31a68e7074659d67d550e5a751d1769d1777d"}, "arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758616.4720273, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
INSERT INTO "executions" VALUES(4,'arn:aws:states:us-east-1:000000000000:execution:tables:table','table','arn:aws:states:us-east-1:000000000000:stateMachine:tables','5d8d0a15babcceabdfbdeae2bd4324bd1e1c01f4b7a47efde6679c7d0c19a3cc','SUCCEEDED','{"rows": 5}','{"nbflow":"dataframe","sha256":"dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093","rows":5,"columns":1,"bytes":1615}',NULL,NULL,1.79575861663265085215e+09,1.79575861665381193155e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758616.629733, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
INSERT INTO "executions" VALUES(5,'arn:aws:states:us-east-1:000000000000:execution:waiting:waits','waits','arn:aws:states:us-east-1:000000000000:stateMachine:waiting','ce8b6fb64783549bd35c91608fbb35fb4162558575172e61d9957ff1fb77e741','RUNNING','{"a": 1}',NULL,NULL,NULL,1.79575861665988636018e+09,NULL,'{}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758616.656899, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
INSERT INTO "executions" VALUES(6,'arn:aws:states:us-east-1:000000000000:execution:both:waits-twice','waits-twice','arn:aws:states:us-east-1:000000000000:stateMachine:both','ab48a665cfda8cca4dd0b11c18f066494ca78acfd06addb4656f4318f1fe8880','RUNNING','{}',NULL,NULL,NULL,1.79575861666544580458e+09,NULL,'{}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758616.6624823, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}');
CREATE TABLE journal (
	id INTEGER NOT NULL, 
	execution INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	format INTEGER NOT NULL, 
	first_event INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	records TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT journal_step UNIQUE (execution, step), 
	FOREIGN KEY(execution) REFERENCES executions (id)
);
INSERT INTO "journal" VALUES(1,1,0,1,1,1.79575861544428944582e+09,'[{"type":"ExecutionStarted","at":1795758615.4442894,"input":{"items":[0,1,2,3]},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:prices:retried","Name":"retried","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:prices","Name":"prices"},"Express":false}},{"type":"StateEntered","at":1795758615.4442894,"frame":0,"name":"Each"},{"type":"ForkStarted","at":1795758615.4442894,"frame":0,"total":4,"concurrency":1000,"payload":[0,1,2,3]},{"type":"BranchStarted","at":1795758615.4442894,"frame":0,"index":0,"input":{"item":0}},{"type":"BranchStarted","at":1795758615.4442894,"frame":0,"index":1,"input":{"item":1}},{"type":"BranchStarted","at":1795758615.4442894,"frame":0,"index":2,"input":{"item":2}},{"type":"BranchStarted","at":1795758615.4442894,"frame":0,"index":3,"input":{"item":3}},{"type":"StateEntered","at":1795758615.4442894,"frame":1,"name":"Price"},{"type":"TaskScheduled","at":1795758615.4442894,"frame":1,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":0,"tries":0}},{"type":"TaskStarted","at":1795758615.4442894,"frame":1},{"type":"StateEntered","at":1795758615.4442894,"frame":2,"name":"Price"},{"type":"TaskScheduled","at":1795758615.4442894,"frame":2,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":0}},{"type":"TaskStarted","at":1795758615.4442894,"frame":2},{"type":"StateEntered","at":1795758615.4442894,"frame":3,"name":"Price"},{"type":"TaskScheduled","at":1795758615.4442894,"frame":3,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":2,"tries":0}},{"type":"TaskStarted","at":1795758615.4442894,"frame":3},{"type":"StateEntered","at":1795758615.4442894,"frame":4,"name":"Price"},{"type":"TaskScheduled","at":1795758615.4442894,"frame":4,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":3,"tries":0}},{"type":"TaskStarted","at":1795758615.4442894,"frame":4}]');
INSERT INTO "journal" VALUES(2,1,1,1,20,1.7957586154525735379e+09,'[{"type":"TaskSucceeded","at":1795758615.4525735,"frame":1,"output":0},{"type":"StateExited","at":1795758615.4525735,"frame":1,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758615.4525735,"frame":1}]');
INSERT INTO "journal" VALUES(3,1,2,1,23,1.7957586154532792568e+09,'[{"type":"TaskFailed","at":1795758615.4532793,"frame":2,"error":"Flaky","cause":"the first time"},{"type":"RetryScheduled","at":1795758615.4532793,"frame":2,"retrier":0,"due":1795758616.4532793},{"type":"TaskFailed","at":1795758615.4532793,"frame":3,"error":"NoPrice","cause":"of 2"},{"type":"StateExited","at":1795758615.4532793,"frame":3,"name":"Price","next":"Free","output":{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}},{"type":"StateEntered","at":1795758615.4532793,"frame":3,"name":"Free"},{"type":"StateExited","at":1795758615.4532793,"frame":3,"name":"Free","origin":"input"},{"type":"BranchSucceeded","at":1795758615.4532793,"frame":3}]');
INSERT INTO "journal" VALUES(4,1,3,1,29,1.79575861545391583439e+09,'[{"type":"TaskSucceeded","at":1795758615.4539158,"frame":4,"output":30},{"type":"StateExited","at":1795758615.4539158,"frame":4,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758615.4539158,"frame":4}]');
INSERT INTO "journal" VALUES(5,1,4,1,32,1.79575861645546269416e+09,'[{"type":"TaskScheduled","at":1795758616.4554627,"frame":2,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":1}},{"type":"TaskStarted","at":1795758616.4554627,"frame":2}]');
INSERT INTO "journal" VALUES(6,1,5,1,34,1.79575861646164560312e+09,'[{"type":"TaskSucceeded","at":1795758616.4616456,"frame":2,"output":10},{"type":"StateExited","at":1795758616.4616456,"frame":2,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758616.4616456,"frame":2},{"type":"ForkSucceeded","at":1795758616.4616456,"frame":0},{"type":"StateExited","at":1795758616.4616456,"frame":0,"name":"Each","origin":"result"},{"type":"ExecutionSucceeded","at":1795758616.4616456}]');
INSERT INTO "journal" VALUES(7,2,0,1,1,1.79575861648243546484e+09,'[{"type":"ExecutionStarted","at":1795758616.4824355,"input":{"rows":3},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:steps:whole","Name":"whole","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:steps","Name":"steps"},"Express":false}},{"type":"StateEntered","at":1795758616.4824355,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758616.4824355,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758616.4824355,"frame":0}]');
INSERT INTO "journal" VALUES(8,2,1,1,5,1.79575861657636570928e+09,'[{"type":"TaskSucceeded","at":1795758616.5763657,"frame":0,"output":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}},{"type":"StateExited","at":1795758616.5763657,"frame":0,"name":"Table","next":"Count","origin":"input","assigned":{"table":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"StateEntered","at":1795758616.5763657,"frame":0,"name":"Count"},{"type":"TaskScheduled","at":1795758616.5763657,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"TaskStarted","at":1795758616.5763657,"frame":0}]');
INSERT INTO "journal" VALUES(9,2,2,1,10,1.7957586165809481144e+09,'[{"type":"TaskSucceeded","at":1795758616.580948,"frame":0,"output":3},{"type":"StateExited","at":1795758616.580948,"frame":0,"name":"Count","output":{"rows":3,"count":3}},{"type":"ExecutionSucceeded","at":1795758616.580948}]');
INSERT INTO "journal" VALUES(10,3,0,1,1,1.79575861659632706641e+09,'[{"type":"ExecutionStarted","at":1795758616.596327,"input":{"rows":3},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:steps:failed","Name":"failed","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:steps","Name":"steps"},"Express":false}},{"type":"StateEntered","at":1795758616.596327,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758616.596327,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758616.596327,"frame":0}]');
INSERT INTO "journal" VALUES(11,3,1,1,5,1.79575861662104773516e+09,'[{"type":"TaskSucceeded","at":1795758616.6210477,"frame":0,"output":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}},{"type":"StateExited","at":1795758616.6210477,"frame":0,"name":"Table","next":"Count","origin":"input","assigned":{"table":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"StateEntered","at":1795758616.6210477,"frame":0,"name":"Count"},{"type":"TaskScheduled","at":1795758616.6210477,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"TaskStarted","at":1795758616.6210477,"frame":0}]');
INSERT INTO "journal" VALUES(12,3,2,1,10,1.79575861662539458269e+09,'[{"type":"TaskFailed","at":1795758616.6253946,"frame":0,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"},{"type":"ExecutionFailed","at":1795758616.6253946,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"}]');
INSERT INTO "journal" VALUES(13,4,0,1,1,1.79575861663291358946e+09,'[{"type":"ExecutionStarted","at":1795758616.6329136,"input":{"rows":5},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:tables:table","Name":"table","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:tables","Name":"tables"},"Express":false}},{"type":"StateEntered","at":1795758616.6329136,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758616.6329136,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758616.6329136,"frame":0}]');
INSERT INTO "journal" VALUES(14,4,1,1,5,1.79575861665381193155e+09,'[{"type":"TaskSucceeded","at":1795758616.653812,"frame":0,"output":{"nbflow":"dataframe","sha256":"dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093","rows":5,"columns":1,"bytes":1615}},{"type":"StateExited","at":1795758616.653812,"frame":0,"name":"Table","origin":"result"},{"type":"ExecutionSucceeded","at":1795758616.653812}]');
INSERT INTO "journal" VALUES(15,5,0,1,1,1.79575861666021537781e+09,'[{"type":"ExecutionStarted","at":1795758616.6602154,"input":{"a":1},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:waiting:waits","Name":"waits","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:waiting","Name":"waiting"},"Express":false}},{"type":"StateEntered","at":1795758616.6602154,"frame":0,"name":"Wait"},{"type":"WaitStarted","at":1795758616.6602154,"frame":0,"due":1895758615.6602154}]');
INSERT INTO "journal" VALUES(16,6,0,1,1,1.79575861666830682754e+09,'[{"type":"ExecutionStarted","at":1795758616.6683068,"input":{},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:both:waits-twice","Name":"waits-twice","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:both","Name":"both"},"Express":false}},{"type":"StateEntered","at":1795758616.6683068,"frame":0,"name":"Both"},{"type":"ForkStarted","at":1795758616.6683068,"frame":0,"total":2,"concurrency":2,"origin":"input"},{"type":"BranchStarted","at":1795758616.6683068,"frame":0,"index":0,"origin":"input"},{"type":"BranchStarted","at":1795758616.6683068,"frame":0,"index":1,"origin":"input"},{"type":"StateEntered","at":1795758616.6683068,"frame":1,"name":"One"},{"type":"WaitStarted","at":1795758616.6683068,"frame":1,"due":1895758615.6683068},{"type":"StateEntered","at":1795758616.6683068,"frame":2,"name":"Two"},{"type":"WaitStarted","at":1795758616.6683068,"frame":2,"due":1895758615.6683068}]');
CREATE TABLE logs (
	execution INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (execution, attempt), 
	FOREIGN KEY(execution) REFERENCES executions (id)
);
INSERT INTO "logs" VALUES(1,9,'price of 0, try 0
');
INSERT INTO "logs" VALUES(1,12,'price of 1, try 0
');
INSERT INTO "logs" VALUES(1,15,'price of 2, try 0
');
INSERT INTO "logs" VALUES(1,18,'price of 3, try 0
');
INSERT INTO "logs" VALUES(1,32,'price of 1, try 1
');
INSERT INTO "logs" VALUES(2,3,'3 rows
');
INSERT INTO "logs" VALUES(3,3,'3 rows
');
INSERT INTO "logs" VALUES(3,8,'before it breaks
');
INSERT INTO "logs" VALUES(4,3,'5 rows
');
CREATE TABLE machines (
	arn TEXT NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	role_arn TEXT NOT NULL, 
	definition VARCHAR(64) NOT NULL, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	revision_id TEXT NOT NULL, 
	options TEXT NOT NULL, 
	status TEXT DEFAULT 'ACTIVE' NOT NULL, 
	published INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (arn)
);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices','prices','STANDARD','arn:aws:iam::000000000000:role/nbflow','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375',1.79575861543836617474e+09,1.79575861543836617474e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',1);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:steps','steps','STANDARD','arn:aws:iam::000000000000:role/nbflow','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4',1.79575861647202730179e+09,1.79575861647202730179e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:tables','tables','STANDARD','arn:aws:iam::000000000000:role/nbflow','5d8d0a15babcceabdfbdeae2bd4324bd1e1c01f4b7a47efde6679c7d0c19a3cc',1.79575861662973308569e+09,1.79575861662973308569e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:waiting','waiting','STANDARD','arn:aws:iam::000000000000:role/nbflow','ce8b6fb64783549bd35c91608fbb35fb4162558575172e61d9957ff1fb77e741',1.79575861665689897532e+09,1.79575861665689897532e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:both','both','STANDARD','arn:aws:iam::000000000000:role/nbflow','ab48a665cfda8cca4dd0b11c18f066494ca78acfd06addb4656f4318f1fe8880',1.79575861666248226163e+09,1.79575861666248226163e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
CREATE TABLE nbflow_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "nbflow_version" VALUES('0002');
CREATE TABLE tags (
	resource TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (resource, "key")
);
INSERT INTO "tags" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices','kind','golden');
CREATE TABLE versions (
	arn TEXT NOT NULL, 
	machine_arn TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	revision_id TEXT NOT NULL, 
	definition VARCHAR(64) NOT NULL, 
	role_arn TEXT NOT NULL, 
	options TEXT NOT NULL, 
	description TEXT, 
	created_at DOUBLE NOT NULL, 
	updated_at DOUBLE NOT NULL, 
	PRIMARY KEY (arn)
);
INSERT INTO "versions" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices:1','arn:aws:states:us-east-1:000000000000:stateMachine:prices',1,'','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375','arn:aws:iam::000000000000:role/nbflow','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','golden',1.7957586168741290569e+09,1.79575861543836617474e+09);
CREATE UNIQUE INDEX versions_by_machine ON versions (machine_arn, number);
CREATE INDEX aliases_by_machine ON aliases (machine_arn);
CREATE INDEX executions_by_start ON executions (started_at);
CREATE INDEX executions_by_machine ON executions (machine_arn, status);
COMMIT;

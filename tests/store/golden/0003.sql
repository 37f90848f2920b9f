BEGIN TRANSACTION;
CREATE TABLE activities (
	arn TEXT NOT NULL, 
	name TEXT NOT NULL, 
	options TEXT NOT NULL, 
	created_at DOUBLE NOT NULL, 
	PRIMARY KEY (arn)
);
INSERT INTO "activities" VALUES('arn:aws:states:us-east-1:000000000000:activity:by-hand','by-hand','{}',1.79575862082788681979e+09);
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
INSERT INTO "aliases" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices:latest','arn:aws:states:us-east-1:000000000000:stateMachine:prices','latest',NULL,'[{"stateMachineVersionArn": "arn:aws:states:us-east-1:000000000000:stateMachine:prices:1", "weight": 100}]',1.79575862082220625874e+09,1.79575862082220625874e+09);
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
INSERT INTO "artifacts" VALUES('6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb','dataframe',1606,3,1,'66/6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb.parquet','{"type":"pandas.DataFrame","columns":["x"],"dtypes":["int64"],"index":["0","1","2"],"head":[[0],[1],[2]]}',1.79575862050274729728e+09,1.79575862052246356011e+09);
INSERT INTO "artifacts" VALUES('dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093','dataframe',1615,5,1,'df/dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093.parquet','{"type":"pandas.DataFrame","columns":["x"],"dtypes":["int64"],"index":["0","1","2","3","4"],"head":[[0],[1],[2],[3],[4]]}',1.79575862055190587046e+09,1.79575862055190587046e+09);
INSERT INTO "artifacts" VALUES('4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28','dataframe',1601,2,1,'4b/4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28.parquet','{"type":"pandas.DataFrame","columns":["x"],"dtypes":["int64"],"index":["0","1"],"head":[[0],[1]]}',1.79575862086441135406e+09,1.79575862086441135406e+09);
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
INSERT INTO "definitions" VALUES('276e502122c40308533fc37291ef948b47799c9f7ff1007f95401c0af09a251b','{"StartAt": "Hand", "States": {"Hand": {"Type": "Task", "Resource": "arn:aws:states:us-east-1:000000000000:activity:by-hand", "TimeoutSeconds": 99999999, "End": true}}}');
INSERT INTO "definitions" VALUES('02235d2c1f8fdcd4cf960c6ab874b8dcded614e728812107a944c01b23777feb','{"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Parameters": {"FunctionName": "ask", "Payload": {"token.$": "$$.Task.Token"}}, "End": true}}}');
INSERT INTO "definitions" VALUES('ed92734be57b0e65fefb01df96c82c0bc29939cf2517575b9c00e4e4b75bd00b','{"StartAt": "Each", "States": {"Each": {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"item.$": "$$.Map.Item.Value"}, "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "Price", "States": {"Price": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:price", "End": true, "Parameters": {"item.$": "$.item", "tries.$": "$$.State.RetryCount"}, "Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 1}], "Catch": [{"ErrorEquals": ["NoPrice"], "ResultPath": "$.error", "Next": "Free"}]}, "Free": {"Type": "Pass", "End": true}}}, "End": true, "MaxConcurrency": 2}}}');
INSERT INTO "definitions" VALUES('f4396e1c8aa7cd5b0c874a2df88a9f2be52c56d55b81b94aa1879ce4caf6ce94','{"StartAt": "Price", "States": {"Price": {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:000000000000:function:price", "End": true, "Parameters": {"item.$": "$.item", "tries.$": "$$.State.RetryCount"}, "Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 1}], "Catch": [{"ErrorEquals": ["NoPrice"], "ResultPath": "$.error", "Next": "Free"}]}, "Free": {"Type": "Pass", "End": true}}}');
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
	parent_token TEXT, 
	map_run_arn TEXT, 
	redrive_count INTEGER DEFAULT '0' NOT NULL, 
	redrive_date DOUBLE, 
	redrive_tokens TEXT, 
	PRIMARY KEY (id), 
	UNIQUE (arn)
);
INSERT INTO "executions" VALUES(1,'arn:aws:states:us-east-1:000000000000:execution:prices:retried','retried','arn:aws:states:us-east-1:000000000000:stateMachine:prices','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375','SUCCEEDED','{"items": [0, 1, 2, 3]}','[0,10,{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}},30]',NULL,NULL,1795758619.44375,1.79575862045746779439e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:price": {"kind": "function", "name": "price", "path": "work.py", "sha256": "195554738da34d0a15b30506e6621336ad7a86c629e4ad216669f5106f850ff6"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758619.438146, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(2,'arn:aws:states:us-east-1:000000000000:execution:steps:whole','whole','arn:aws:states:us-east-1:000000000000:stateMachine:steps','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','SUCCEEDED','{"rows": 3}','{"rows":3,"count":3}',NULL,NULL,1.79575862046753501888e+09,1.79575862050685572629e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}, "arn:aws:lambda:us-east-1:000000000000:function:count": {"kind": "function", "name": "count", "path": "work.py", "sha256": "47479239cfdab02ee2e6134b9c50081b5260375e216fe4e7fbdd6b9f5aee31d5"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.4634714, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(3,'arn:aws:states:us-east-1:000000000000:execution:steps:failed','failed','arn:aws:states:us-east-1:000000000000:stateMachine:steps','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','FAILED','{"rows": 3}',NULL,'ZeroDivisionError','{"errorMessage": "integer division or modulo by zero", "errorType": "ZeroDivisionError", "stackTrace": ["Traceback (most recent call last):\n", "  File \"work.py\", line 32, in broken\n", "    return len(data) // 0\n", "           ~~~~~~~~~~^^~~\n", "ZeroDivisionError: integer division or modulo by zero\n"]}',1.79575862051200938222e+09,1.79575862052452397349e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}, "arn:aws:lambda:us-east-1:000000000000:function:count": {"kind": "function", "name": "count", "path": "work.py", "sha256": "61e48873f05d0cc4301fb8d1cda31a68e7074659d67d550e5a751d1769d1777d"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.4634714, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(4,'arn:aws:states:us-east-1:000000000000:execution:tables:table','table','arn:aws:states:us-east-1:000000000000:stateMachine:tables','5d8d0a15babcceabdfbdeae2bd4324bd1e1c01f4b7a47efde6679c7d0c19a3cc','SUCCEEDED','{"rows": 5}','{"nbflow":"dataframe","sha256":"dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093","rows":5,"columns":1,"bytes":1615}',NULL,NULL,1.79575862053241801265e+09,1.79575862055190587046e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.5288641, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(5,'arn:aws:states:us-east-1:000000000000:execution:waiting:waits','waits','arn:aws:states:us-east-1:000000000000:stateMachine:waiting','ce8b6fb64783549bd35c91608fbb35fb4162558575172e61d9957ff1fb77e741','RUNNING','{"a": 1}',NULL,NULL,NULL,1.79575862056486392024e+09,NULL,'{}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.555196, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(6,'arn:aws:states:us-east-1:000000000000:execution:both:waits-twice','waits-twice','arn:aws:states:us-east-1:000000000000:stateMachine:both','ab48a665cfda8cca4dd0b11c18f066494ca78acfd06addb4656f4318f1fe8880','RUNNING','{}',NULL,NULL,NULL,1.79575862057380437851e+09,NULL,'{}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.567806, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(7,'arn:aws:states:us-east-1:000000000000:execution:manual:waits-for-a-worker','waits-for-a-worker','arn:aws:states:us-east-1:000000000000:stateMachine:manual','276e502122c40308533fc37291ef948b47799c9f7ff1007f95401c0af09a251b','RUNNING','{"a": 1}',NULL,NULL,NULL,1.79575862083304429051e+09,NULL,'{}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.8303986, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(8,'arn:aws:states:us-east-1:000000000000:execution:asking:waits-for-an-answer','waits-for-an-answer','arn:aws:states:us-east-1:000000000000:stateMachine:asking','02235d2c1f8fdcd4cf960c6ab874b8dcded614e728812107a944c01b23777feb','RUNNING','{}',NULL,NULL,NULL,1.79575862084023284907e+09,NULL,'{"ask": {"kind": "function", "name": "ask", "path": "work.py", "sha256": "6ccce2ad14bfdfc3c2988fe250ea74c508f94000eee981b29f07ce719f42a3cd"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.8358996, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(9,'arn:aws:states:us-east-1:000000000000:execution:steps:redriven','redriven','arn:aws:states:us-east-1:000000000000:stateMachine:steps','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4','SUCCEEDED','{"rows": 2}','{"rows":2,"count":2}',NULL,NULL,1.79575862085172152518e+09,1795758620.97608,'{"arn:aws:lambda:us-east-1:000000000000:function:table": {"kind": "function", "name": "table", "path": "work.py", "sha256": "788f1e0a38d1df21b85240fd6df12e4a00deeb6cd230186cd43147e186ecb848"}, "arn:aws:lambda:us-east-1:000000000000:function:count": {"kind": "function", "name": "count", "path": "work.py", "sha256": "47479239cfdab02ee2e6134b9c50081b5260375e216fe4e7fbdd6b9f5aee31d5"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.4634714, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,1,1.79575862097236418728e+09,'[]');
INSERT INTO "executions" VALUES(10,'arn:aws:states:us-east-1:000000000000:execution:many:map-run','map-run','arn:aws:states:us-east-1:000000000000:stateMachine:many','ed92734be57b0e65fefb01df96c82c0bc29939cf2517575b9c00e4e4b75bd00b','SUCCEEDED','{"items": [0, 1, 2]}','[0,10,{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}]',NULL,NULL,1.79575862098575687406e+09,1.79575862199718594555e+09,'{"arn:aws:lambda:us-east-1:000000000000:function:price": {"kind": "function", "name": "price", "path": "work.py", "sha256": "195554738da34d0a15b30506e6621336ad7a86c629e4ad216669f5106f850ff6"}}',NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.981454, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,NULL,0,NULL,NULL);
INSERT INTO "executions" VALUES(11,'arn:aws:states:us-east-1:000000000000:execution:many/Each:8b811b68-cede-5d5e-ab0d-8ce5bacb8308','8b811b68-cede-5d5e-ab0d-8ce5bacb8308','arn:aws:states:us-east-1:000000000000:stateMachine:many/Each','f4396e1c8aa7cd5b0c874a2df88a9f2be52c56d55b81b94aa1879ce4caf6ce94','SUCCEEDED','{"item":0}','0',NULL,NULL,1.79575862099077582364e+09,1.79575862099372601504e+09,NULL,NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.981454, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,'arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14',0,NULL,NULL);
INSERT INTO "executions" VALUES(12,'arn:aws:states:us-east-1:000000000000:execution:many/Each:50cab6c4-5a46-590b-93b5-da056592363a','50cab6c4-5a46-590b-93b5-da056592363a','arn:aws:states:us-east-1:000000000000:stateMachine:many/Each','f4396e1c8aa7cd5b0c874a2df88a9f2be52c56d55b81b94aa1879ce4caf6ce94','SUCCEEDED','{"item":1}','10',NULL,NULL,1.795758620991155386e+09,1.79575862199646878246e+09,NULL,NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.981454, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,'arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14',0,NULL,NULL);
INSERT INTO "executions" VALUES(13,'arn:aws:states:us-east-1:000000000000:execution:many/Each:0db56506-ca35-52ac-a867-df832927ea3d','0db56506-ca35-52ac-a867-df832927ea3d','arn:aws:states:us-east-1:000000000000:stateMachine:many/Each','f4396e1c8aa7cd5b0c874a2df88a9f2be52c56d55b81b94aa1879ce4caf6ce94','SUCCEEDED','{"item":2}','{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}',NULL,NULL,1.79575862099433946608e+09,1.79575862099552488329e+09,NULL,NULL,NULL,'{"roleArn": "arn:aws:iam::000000000000:role/nbflow", "updateDate": 1795758620.981454, "revisionId": "", "traceHeader": null, "loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}',NULL,'arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14',0,NULL,NULL);
CREATE TABLE inbox (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	execution INTEGER NOT NULL, 
	attempt INTEGER, 
	fact TEXT NOT NULL, 
	FOREIGN KEY(execution) REFERENCES executions (id)
);
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
INSERT INTO "journal" VALUES(1,1,0,1,1,1.795758619445794344e+09,'[{"type":"ExecutionStarted","at":1795758619.4457943,"input":{"items":[0,1,2,3]},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:prices:retried","Name":"retried","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:prices","Name":"prices"},"Express":false}},{"type":"StateEntered","at":1795758619.4457943,"frame":0,"name":"Each"},{"type":"ForkStarted","at":1795758619.4457943,"frame":0,"total":4,"concurrency":1000,"payload":[0,1,2,3]},{"type":"BranchStarted","at":1795758619.4457943,"frame":0,"index":0,"input":{"item":0}},{"type":"BranchStarted","at":1795758619.4457943,"frame":0,"index":1,"input":{"item":1}},{"type":"BranchStarted","at":1795758619.4457943,"frame":0,"index":2,"input":{"item":2}},{"type":"BranchStarted","at":1795758619.4457943,"frame":0,"index":3,"input":{"item":3}},{"type":"StateEntered","at":1795758619.4457943,"frame":1,"name":"Price"},{"type":"TaskScheduled","at":1795758619.4457943,"frame":1,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":0,"tries":0}},{"type":"TaskStarted","at":1795758619.4457943,"frame":1},{"type":"StateEntered","at":1795758619.4457943,"frame":2,"name":"Price"},{"type":"TaskScheduled","at":1795758619.4457943,"frame":2,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":0}},{"type":"TaskStarted","at":1795758619.4457943,"frame":2},{"type":"StateEntered","at":1795758619.4457943,"frame":3,"name":"Price"},{"type":"TaskScheduled","at":1795758619.4457943,"frame":3,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":2,"tries":0}},{"type":"TaskStarted","at":1795758619.4457943,"frame":3},{"type":"StateEntered","at":1795758619.4457943,"frame":4,"name":"Price"},{"type":"TaskScheduled","at":1795758619.4457943,"frame":4,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":3,"tries":0}},{"type":"TaskStarted","at":1795758619.4457943,"frame":4}]');
INSERT INTO "journal" VALUES(2,1,1,1,20,1.79575861945539784429e+09,'[{"type":"TaskFailed","at":1795758619.4553978,"frame":2,"error":"Flaky","cause":"the first time"},{"type":"RetryScheduled","at":1795758619.4553978,"frame":2,"retrier":0,"due":1795758620.4553978},{"type":"TaskSucceeded","at":1795758619.4553978,"frame":1,"output":0},{"type":"StateExited","at":1795758619.4553978,"frame":1,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758619.4553978,"frame":1}]');
INSERT INTO "journal" VALUES(3,1,2,1,24,1.79575861945807528502e+09,'[{"type":"TaskSucceeded","at":1795758619.4580753,"frame":4,"output":30},{"type":"StateExited","at":1795758619.4580753,"frame":4,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758619.4580753,"frame":4},{"type":"TaskFailed","at":1795758619.4580753,"frame":3,"error":"NoPrice","cause":"of 2"},{"type":"StateExited","at":1795758619.4580753,"frame":3,"name":"Price","next":"Free","output":{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}},{"type":"StateEntered","at":1795758619.4580753,"frame":3,"name":"Free"},{"type":"StateExited","at":1795758619.4580753,"frame":3,"name":"Free","origin":"input"},{"type":"BranchSucceeded","at":1795758619.4580753,"frame":3}]');
INSERT INTO "journal" VALUES(4,1,3,1,32,1.79575862045636916158e+09,'[{"type":"TaskScheduled","at":1795758620.4563692,"frame":2,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":1}},{"type":"TaskStarted","at":1795758620.4563692,"frame":2}]');
INSERT INTO "journal" VALUES(5,1,4,1,34,1.79575862045746779439e+09,'[{"type":"TaskSucceeded","at":1795758620.4574678,"frame":2,"output":10},{"type":"StateExited","at":1795758620.4574678,"frame":2,"name":"Price","origin":"result"},{"type":"BranchSucceeded","at":1795758620.4574678,"frame":2},{"type":"ForkSucceeded","at":1795758620.4574678,"frame":0},{"type":"StateExited","at":1795758620.4574678,"frame":0,"name":"Each","origin":"result"},{"type":"ExecutionSucceeded","at":1795758620.4574678}]');
INSERT INTO "journal" VALUES(6,2,0,1,1,1.79575862046788144112e+09,'[{"type":"ExecutionStarted","at":1795758620.4678814,"input":{"rows":3},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:steps:whole","Name":"whole","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:steps","Name":"steps"},"Express":false}},{"type":"StateEntered","at":1795758620.4678814,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758620.4678814,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758620.4678814,"frame":0}]');
INSERT INTO "journal" VALUES(7,2,1,1,5,1.79575862050274729728e+09,'[{"type":"TaskSucceeded","at":1795758620.5027473,"frame":0,"output":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}},{"type":"StateExited","at":1795758620.5027473,"frame":0,"name":"Table","next":"Count","origin":"input","assigned":{"table":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"StateEntered","at":1795758620.5027473,"frame":0,"name":"Count"},{"type":"TaskScheduled","at":1795758620.5027473,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"TaskStarted","at":1795758620.5027473,"frame":0}]');
INSERT INTO "journal" VALUES(8,2,2,1,10,1.79575862050685572629e+09,'[{"type":"TaskSucceeded","at":1795758620.5068557,"frame":0,"output":3},{"type":"StateExited","at":1795758620.5068557,"frame":0,"name":"Count","output":{"rows":3,"count":3}},{"type":"ExecutionSucceeded","at":1795758620.5068557}]');
INSERT INTO "journal" VALUES(9,3,0,1,1,1.79575862051234912868e+09,'[{"type":"ExecutionStarted","at":1795758620.5123491,"input":{"rows":3},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:steps:failed","Name":"failed","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:steps","Name":"steps"},"Express":false}},{"type":"StateEntered","at":1795758620.5123491,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758620.5123491,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758620.5123491,"frame":0}]');
INSERT INTO "journal" VALUES(10,3,1,1,5,1.79575862052246356011e+09,'[{"type":"TaskSucceeded","at":1795758620.5224636,"frame":0,"output":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}},{"type":"StateExited","at":1795758620.5224636,"frame":0,"name":"Table","next":"Count","origin":"input","assigned":{"table":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"StateEntered","at":1795758620.5224636,"frame":0,"name":"Count"},{"type":"TaskScheduled","at":1795758620.5224636,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"6680f2c715333fdb0c7bbf634af3dcf519cf28ce01b23c6b8f1f22ecb5810ddb","rows":3,"columns":1,"bytes":1606}}},{"type":"TaskStarted","at":1795758620.5224636,"frame":0}]');
INSERT INTO "journal" VALUES(11,3,2,1,10,1.79575862052452397349e+09,'[{"type":"TaskFailed","at":1795758620.524524,"frame":0,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"},{"type":"ExecutionFailed","at":1795758620.524524,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"}]');
INSERT INTO "journal" VALUES(12,4,0,1,1,1.79575862053270649907e+09,'[{"type":"ExecutionStarted","at":1795758620.5327065,"input":{"rows":5},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:tables:table","Name":"table","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:tables","Name":"tables"},"Express":false}},{"type":"StateEntered","at":1795758620.5327065,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758620.5327065,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758620.5327065,"frame":0}]');
INSERT INTO "journal" VALUES(13,4,1,1,5,1.79575862055190587046e+09,'[{"type":"TaskSucceeded","at":1795758620.5519059,"frame":0,"output":{"nbflow":"dataframe","sha256":"dff8c5792f9edfab92a20cdfc0517a6c56da9625c46a992f78c3a58a3d9e7093","rows":5,"columns":1,"bytes":1615}},{"type":"StateExited","at":1795758620.5519059,"frame":0,"name":"Table","origin":"result"},{"type":"ExecutionSucceeded","at":1795758620.5519059}]');
INSERT INTO "journal" VALUES(14,5,0,1,1,1.79575862056522703169e+09,'[{"type":"ExecutionStarted","at":1795758620.565227,"input":{"a":1},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:waiting:waits","Name":"waits","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:waiting","Name":"waiting"},"Express":false}},{"type":"StateEntered","at":1795758620.565227,"frame":0,"name":"Wait"},{"type":"WaitStarted","at":1795758620.565227,"frame":0,"due":1895758619.565227}]');
INSERT INTO "journal" VALUES(15,6,0,1,1,1.79575862057422971722e+09,'[{"type":"ExecutionStarted","at":1795758620.5742297,"input":{},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:both:waits-twice","Name":"waits-twice","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:both","Name":"both"},"Express":false}},{"type":"StateEntered","at":1795758620.5742297,"frame":0,"name":"Both"},{"type":"ForkStarted","at":1795758620.5742297,"frame":0,"total":2,"concurrency":2,"origin":"input"},{"type":"BranchStarted","at":1795758620.5742297,"frame":0,"index":0,"origin":"input"},{"type":"BranchStarted","at":1795758620.5742297,"frame":0,"index":1,"origin":"input"},{"type":"StateEntered","at":1795758620.5742297,"frame":1,"name":"One"},{"type":"WaitStarted","at":1795758620.5742297,"frame":1,"due":1895758619.5742297},{"type":"StateEntered","at":1795758620.5742297,"frame":2,"name":"Two"},{"type":"WaitStarted","at":1795758620.5742297,"frame":2,"due":1895758619.5742297}]');
INSERT INTO "journal" VALUES(16,7,0,1,1,1.79575862083340287208e+09,'[{"type":"ExecutionStarted","at":1795758620.8334029,"input":{"a":1},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:manual:waits-for-a-worker","Name":"waits-for-a-worker","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:manual","Name":"manual"},"Express":false}},{"type":"StateEntered","at":1795758620.8334029,"frame":0,"name":"Hand"},{"type":"TaskScheduled","at":1795758620.8334029,"frame":0,"resource":"arn:aws:states:us-east-1:000000000000:activity:by-hand","origin":"input","timeout":99999999,"token":"MIPBgQN1IPgFJnL8P6SPHp0t6URI21KHweRNJLFuLJGrzBo3"}]');
INSERT INTO "journal" VALUES(17,8,0,1,1,1.79575862084050250056e+09,'[{"type":"ExecutionStarted","at":1795758620.8405025,"input":{},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:asking:waits-for-an-answer","Name":"waits-for-an-answer","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:asking","Name":"asking"},"Express":false}},{"type":"StateEntered","at":1795758620.8405025,"frame":0,"name":"Ask"},{"type":"TaskScheduled","at":1795758620.8405025,"frame":0,"resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","arguments":{"FunctionName":"ask","Payload":{"token":"520Qjb9GJ6dzfemmRuCsASWLvpf-IkeR2Y8LytB4fQvtkK82"}},"token":"520Qjb9GJ6dzfemmRuCsASWLvpf-IkeR2Y8LytB4fQvtkK82"},{"type":"TaskStarted","at":1795758620.8405025,"frame":0}]');
INSERT INTO "journal" VALUES(18,8,1,1,5,1.79575862084455966944e+09,'[{"type":"TaskSubmitted","at":1795758620.8445597,"frame":0,"output":{"ExecutedVersion":"$LATEST","Payload":null,"SdkHttpMetadata":{"AllHttpHeaders":{},"HttpHeaders":{},"HttpStatusCode":200},"SdkResponseMetadata":{"RequestId":""},"StatusCode":200}}]');
INSERT INTO "journal" VALUES(19,9,0,1,1,1.7957586208519971371e+09,'[{"type":"ExecutionStarted","at":1795758620.8519971,"input":{"rows":2},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:steps:redriven","Name":"redriven","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:steps","Name":"steps"},"Express":false}},{"type":"StateEntered","at":1795758620.8519971,"frame":0,"name":"Table"},{"type":"TaskScheduled","at":1795758620.8519971,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:table","origin":"input"},{"type":"TaskStarted","at":1795758620.8519971,"frame":0}]');
INSERT INTO "journal" VALUES(20,9,1,1,5,1.79575862086441135406e+09,'[{"type":"TaskSucceeded","at":1795758620.8644114,"frame":0,"output":{"nbflow":"dataframe","sha256":"4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28","rows":2,"columns":1,"bytes":1601}},{"type":"StateExited","at":1795758620.8644114,"frame":0,"name":"Table","next":"Count","origin":"input","assigned":{"table":{"nbflow":"dataframe","sha256":"4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28","rows":2,"columns":1,"bytes":1601}}},{"type":"StateEntered","at":1795758620.8644114,"frame":0,"name":"Count"},{"type":"TaskScheduled","at":1795758620.8644114,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28","rows":2,"columns":1,"bytes":1601}}},{"type":"TaskStarted","at":1795758620.8644114,"frame":0}]');
INSERT INTO "journal" VALUES(21,9,2,1,10,1.79575862086603713031e+09,'[{"type":"TaskFailed","at":1795758620.8660371,"frame":0,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"},{"type":"ExecutionFailed","at":1795758620.8660371,"error":"ZeroDivisionError","cause":"{\"errorMessage\": \"integer division or modulo by zero\", \"errorType\": \"ZeroDivisionError\", \"stackTrace\": [\"Traceback (most recent call last):\\n\", \"  File \\\"work.py\\\", line 32, in broken\\n\", \"    return len(data) // 0\\n\", \"           ~~~~~~~~~~^^~~\\n\", \"ZeroDivisionError: integer division or modulo by zero\\n\"]}"}]');
INSERT INTO "journal" VALUES(22,9,3,1,12,1.79575862097236418728e+09,'[{"type":"ExecutionRedriven","at":1795758620.9723642},{"type":"TaskScheduled","at":1795758620.9723642,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:count","arguments":{"data":{"nbflow":"dataframe","sha256":"4b39d6475401f7a0080ce284961e34996116cdac29db92411f2dbef480990a28","rows":2,"columns":1,"bytes":1601}}},{"type":"TaskStarted","at":1795758620.9723642,"frame":0}]');
INSERT INTO "journal" VALUES(23,9,4,1,15,1795758620.97608,'[{"type":"TaskSucceeded","at":1795758620.97608,"frame":0,"output":2},{"type":"StateExited","at":1795758620.97608,"frame":0,"name":"Count","output":{"rows":2,"count":2}},{"type":"ExecutionSucceeded","at":1795758620.97608}]');
INSERT INTO "journal" VALUES(24,10,0,1,1,1.79575862098606324197e+09,'[{"type":"ExecutionStarted","at":1795758620.9860632,"input":{"items":[0,1,2]},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:many:map-run","Name":"map-run","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:many","Name":"many"},"Express":false}},{"type":"StateEntered","at":1795758620.9860632,"frame":0,"name":"Each"},{"type":"MapStarted","at":1795758620.9860632,"frame":0,"length":3},{"type":"MapRunStarted","at":1795758620.9860632,"frame":0,"arn":"arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14","concurrency":2,"items":[0,1,2]}]');
INSERT INTO "journal" VALUES(25,11,0,1,1,1.79575862099142169957e+09,'[{"type":"ExecutionStarted","at":1795758620.9914217,"input":{"item":0},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:many/Each:8b811b68-cede-5d5e-ab0d-8ce5bacb8308","Name":"8b811b68-cede-5d5e-ab0d-8ce5bacb8308","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:many/Each","Name":"many/Each"},"Express":false,"MapRun":"arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14"}},{"type":"StateEntered","at":1795758620.9914217,"frame":0,"name":"Price"},{"type":"TaskScheduled","at":1795758620.9914217,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":0,"tries":0}},{"type":"TaskStarted","at":1795758620.9914217,"frame":0}]');
INSERT INTO "journal" VALUES(26,12,0,1,1,1.79575862099171710013e+09,'[{"type":"ExecutionStarted","at":1795758620.991717,"input":{"item":1},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:many/Each:50cab6c4-5a46-590b-93b5-da056592363a","Name":"50cab6c4-5a46-590b-93b5-da056592363a","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:many/Each","Name":"many/Each"},"Express":false,"MapRun":"arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14"}},{"type":"StateEntered","at":1795758620.991717,"frame":0,"name":"Price"},{"type":"TaskScheduled","at":1795758620.991717,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":0}},{"type":"TaskStarted","at":1795758620.991717,"frame":0}]');
INSERT INTO "journal" VALUES(27,11,1,1,5,1.79575862099372601504e+09,'[{"type":"TaskSucceeded","at":1795758620.993726,"frame":0,"output":0},{"type":"StateExited","at":1795758620.993726,"frame":0,"name":"Price","origin":"result"},{"type":"ExecutionSucceeded","at":1795758620.993726}]');
INSERT INTO "journal" VALUES(28,12,1,1,5,1.79575862099386811257e+09,'[{"type":"TaskFailed","at":1795758620.993868,"frame":0,"error":"Flaky","cause":"the first time"},{"type":"RetryScheduled","at":1795758620.993868,"frame":0,"retrier":0,"due":1795758621.993868}]');
INSERT INTO "journal" VALUES(29,13,0,1,1,1.79575862099450302123e+09,'[{"type":"ExecutionStarted","at":1795758620.994503,"input":{"item":2},"context":{"Execution":{"Id":"arn:aws:states:us-east-1:000000000000:execution:many/Each:0db56506-ca35-52ac-a867-df832927ea3d","Name":"0db56506-ca35-52ac-a867-df832927ea3d","RoleArn":"arn:aws:iam::000000000000:role/nbflow"},"StateMachine":{"Id":"arn:aws:states:us-east-1:000000000000:stateMachine:many/Each","Name":"many/Each"},"Express":false,"MapRun":"arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14"}},{"type":"StateEntered","at":1795758620.994503,"frame":0,"name":"Price"},{"type":"TaskScheduled","at":1795758620.994503,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":2,"tries":0}},{"type":"TaskStarted","at":1795758620.994503,"frame":0}]');
INSERT INTO "journal" VALUES(30,13,1,1,5,1.79575862099552488329e+09,'[{"type":"TaskFailed","at":1795758620.995525,"frame":0,"error":"NoPrice","cause":"of 2"},{"type":"StateExited","at":1795758620.995525,"frame":0,"name":"Price","next":"Free","output":{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}},{"type":"StateEntered","at":1795758620.995525,"frame":0,"name":"Free"},{"type":"StateExited","at":1795758620.995525,"frame":0,"name":"Free","origin":"input"},{"type":"ExecutionSucceeded","at":1795758620.995525}]');
INSERT INTO "journal" VALUES(31,12,2,1,6,1.79575862199529218674e+09,'[{"type":"TaskScheduled","at":1795758621.9952922,"frame":0,"resource":"arn:aws:lambda:us-east-1:000000000000:function:price","arguments":{"item":1,"tries":1}},{"type":"TaskStarted","at":1795758621.9952922,"frame":0}]');
INSERT INTO "journal" VALUES(32,12,3,1,8,1.79575862199646878246e+09,'[{"type":"TaskSucceeded","at":1795758621.9964688,"frame":0,"output":10},{"type":"StateExited","at":1795758621.9964688,"frame":0,"name":"Price","origin":"result"},{"type":"ExecutionSucceeded","at":1795758621.9964688}]');
INSERT INTO "journal" VALUES(33,10,1,1,5,1.79575862199718594555e+09,'[{"type":"MapRunSucceeded","at":1795758621.997186,"frame":0,"output":[0,10,{"item":2,"error":{"Error":"NoPrice","Cause":"of 2"}}]},{"type":"ForkSucceeded","at":1795758621.997186,"frame":0},{"type":"StateExited","at":1795758621.997186,"frame":0,"name":"Each","origin":"result"},{"type":"ExecutionSucceeded","at":1795758621.997186}]');
CREATE TABLE logs (
	execution INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (execution, attempt), 
	FOREIGN KEY(execution) REFERENCES executions (id)
);
INSERT INTO "logs" VALUES(1,12,'price of 1, try 0
');
INSERT INTO "logs" VALUES(1,9,'price of 0, try 0
');
INSERT INTO "logs" VALUES(1,18,'price of 3, try 0
');
INSERT INTO "logs" VALUES(1,15,'price of 2, try 0
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
INSERT INTO "logs" VALUES(8,3,'somebody is asked
');
INSERT INTO "logs" VALUES(9,3,'2 rows
');
INSERT INTO "logs" VALUES(9,8,'before it breaks
');
INSERT INTO "logs" VALUES(11,3,'price of 0, try 0
');
INSERT INTO "logs" VALUES(12,3,'price of 1, try 0
');
INSERT INTO "logs" VALUES(13,3,'price of 2, try 0
');
INSERT INTO "logs" VALUES(12,6,'price of 1, try 1
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
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices','prices','STANDARD','arn:aws:iam::000000000000:role/nbflow','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375',1.79575861943814611438e+09,1.79575861943814611438e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',1);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:steps','steps','STANDARD','arn:aws:iam::000000000000:role/nbflow','69ecf6dd569f071a36761207520eabd16a13423ac04e34928d73e0912999c0d4',1.79575862046347141266e+09,1.79575862046347141266e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:tables','tables','STANDARD','arn:aws:iam::000000000000:role/nbflow','5d8d0a15babcceabdfbdeae2bd4324bd1e1c01f4b7a47efde6679c7d0c19a3cc',1.79575862052886414525e+09,1.79575862052886414525e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:waiting','waiting','STANDARD','arn:aws:iam::000000000000:role/nbflow','ce8b6fb64783549bd35c91608fbb35fb4162558575172e61d9957ff1fb77e741',1.79575862055519604688e+09,1.79575862055519604688e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:both','both','STANDARD','arn:aws:iam::000000000000:role/nbflow','ab48a665cfda8cca4dd0b11c18f066494ca78acfd06addb4656f4318f1fe8880',1.79575862056780600553e+09,1.79575862056780600553e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:manual','manual','STANDARD','arn:aws:iam::000000000000:role/nbflow','276e502122c40308533fc37291ef948b47799c9f7ff1007f95401c0af09a251b',1.79575862083039855957e+09,1.79575862083039855957e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:asking','asking','STANDARD','arn:aws:iam::000000000000:role/nbflow','02235d2c1f8fdcd4cf960c6ab874b8dcded614e728812107a944c01b23777feb',1.79575862083589959149e+09,1.79575862083589959149e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
INSERT INTO "machines" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:many','many','STANDARD','arn:aws:iam::000000000000:role/nbflow','ed92734be57b0e65fefb01df96c82c0bc29939cf2517575b9c00e4e4b75bd00b',1.79575862098145389552e+09,1.79575862098145389552e+09,'','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','ACTIVE',0);
CREATE TABLE map_runs (
	arn TEXT NOT NULL, 
	execution TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	started_at DOUBLE NOT NULL, 
	stopped_at DOUBLE, 
	max_concurrency INTEGER NOT NULL, 
	tolerated_count INTEGER, 
	tolerated_percentage DOUBLE, 
	counts TEXT, 
	PRIMARY KEY (arn)
);
INSERT INTO "map_runs" VALUES('arn:aws:states:us-east-1:000000000000:mapRun:many/Each:91efc1cb-1c49-7c84-a7ae-c14a9be86a14','arn:aws:states:us-east-1:000000000000:execution:many:map-run',4,'SUCCEEDED',1.79575862098606324197e+09,1.79575862199710035321e+09,2,NULL,NULL,'{"executions":{"SUCCEEDED":3,"PENDING":0,"ABORTED":0},"items":{"SUCCEEDED":3,"PENDING":0,"ABORTED":0}}');
CREATE TABLE nbflow_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "nbflow_version" VALUES('0003');
CREATE TABLE tags (
	resource TEXT NOT NULL, 
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (resource, "key")
);
INSERT INTO "tags" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices','kind','golden');
CREATE TABLE tokens (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	token TEXT NOT NULL, 
	execution INTEGER NOT NULL, 
	attempt INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	activity TEXT, 
	input TEXT, 
	timeout INTEGER, 
	heartbeat INTEGER, 
	due DOUBLE, 
	heartbeat_due DOUBLE, 
	UNIQUE (token), 
	FOREIGN KEY(execution) REFERENCES executions (id)
);
INSERT INTO "tokens" VALUES(1,'MIPBgQN1IPgFJnL8P6SPHp0t6URI21KHweRNJLFuLJGrzBo3',7,3,'queued','arn:aws:states:us-east-1:000000000000:activity:by-hand','{"a":1}',99999999,NULL,NULL,NULL);
INSERT INTO "tokens" VALUES(2,'520Qjb9GJ6dzfemmRuCsASWLvpf-IkeR2Y8LytB4fQvtkK82',8,3,'open',NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "versions" VALUES('arn:aws:states:us-east-1:000000000000:stateMachine:prices:1','arn:aws:states:us-east-1:000000000000:stateMachine:prices',1,'','5ac4a530d9ea9421b1688bed343c76532853bef2df2a00299d464f668a5b7375','arn:aws:iam::000000000000:role/nbflow','{"loggingConfiguration": {"level": "OFF", "includeExecutionData": false}, "tracingConfiguration": {"enabled": false}, "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}, "created": [false, null]}','golden',1.79575862081295323374e+09,1.79575861943814611438e+09);
CREATE UNIQUE INDEX versions_by_machine ON versions (machine_arn, number);
CREATE INDEX aliases_by_machine ON aliases (machine_arn);
CREATE INDEX executions_by_parent ON executions (parent_token) WHERE parent_token IS NOT NULL;
CREATE INDEX executions_by_start ON executions (started_at);
CREATE INDEX executions_by_machine ON executions (machine_arn, status);
CREATE INDEX executions_by_map_run ON executions (map_run_arn, status) WHERE map_run_arn IS NOT NULL;
CREATE INDEX map_runs_by_execution ON map_runs (execution);
CREATE INDEX tokens_by_execution ON tokens (execution, attempt);
CREATE INDEX tokens_queued ON tokens (activity, id) WHERE state = 'queued';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('tokens',2);
COMMIT;

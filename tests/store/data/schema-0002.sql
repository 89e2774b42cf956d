BEGIN TRANSACTION;
CREATE TABLE events (
	study INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	trial INTEGER, 
	at FLOAT NOT NULL, 
	body TEXT NOT NULL, digest VARCHAR(32), 
	PRIMARY KEY (study, seq), 
	FOREIGN KEY(study) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "events" VALUES(1,1,'opened',NULL,1.79543473895793175695e+09,'{"kind":"opened","at":1795434738.9579318,"session":"51e145efd14d4abe","host":"laptop","pid":5209,"pid_started":1795434737.39}','97c55408127754154a8b302bf717625d');
INSERT INTO "events" VALUES(1,2,'suggested',0,1.79543473895854640001e+09,'{"kind":"suggested","at":1795434738.9585464,"trial":0,"config":{"x":0.5214103940427,"k":4,"o":"adam"},"origin":["random","",1,0,1,0],"session":"51e145efd14d4abe"}','177e23a657b657a288836442b5f7b21a');
INSERT INTO "events" VALUES(1,3,'reported',0,1.79543473896038722993e+09,'{"kind":"reported","at":1795434738.9603872,"trial":0,"attempt":0,"step":1,"metrics":{"loss":1.2718687990157638}}','e0a2587711322e3f605bed840ee02d60');
INSERT INTO "events" VALUES(1,4,'finished',0,1.7954347389606230259e+09,'{"kind":"finished","at":1795434738.960623,"trial":0,"attempt":0,"state":"completed","values":[0.27186879901576366],"metrics":{"loss":0.27186879901576366},"cost":[0.00026196899943897733,0.00026071800000004863,null,null]}','2f0b3e642d0d361c80255f56f35e0a62');
INSERT INTO "events" VALUES(1,5,'suggested',1,1.79543473896062755583e+09,'{"kind":"suggested","at":1795434738.9606276,"trial":1,"config":{"x":0.8018755635529,"k":1,"o":"adam"},"origin":["random","",4,1,1,0],"session":"51e145efd14d4abe"}','28841712364d8853f4fe8dd4c4dda74f');
INSERT INTO "events" VALUES(1,6,'reported',1,1.79543473896112895007e+09,'{"kind":"reported","at":1795434738.961129,"trial":1,"attempt":0,"step":1,"metrics":{"loss":1.643004419423281}}','5006e7d8d6f5a8ddfcc3868305774e15');
INSERT INTO "events" VALUES(1,7,'finished',1,1.79543473896130561821e+09,'{"kind":"finished","at":1795434738.9613056,"trial":1,"attempt":0,"state":"completed","values":[0.643004419423281],"metrics":{"loss":0.643004419423281},"cost":[0.00018727799943007994,0.000187007999999933,null,null]}','ff374d8c40b656302855fd8bccbb48b5');
INSERT INTO "events" VALUES(1,8,'suggested',2,1.79543473896130824094e+09,'{"kind":"suggested","at":1795434738.9613082,"trial":2,"config":{"x":-3.8062552161434,"k":1,"o":"sgd","m":0.98399025067779},"origin":["random","",7,2,1,0],"session":"51e145efd14d4abe"}','15f8323daf3eca18c2324b6481562520');
INSERT INTO "events" VALUES(1,9,'reported',2,1.79543473896180939678e+09,'{"kind":"reported","at":1795434738.9618094,"trial":2,"attempt":0,"step":1,"metrics":{"loss":15.487578770418839}}','a5e76cd6b05c5d8ebcadf3e0af8ff8fc');
INSERT INTO "events" VALUES(1,10,'finished',2,1795434738.96197,'{"kind":"finished","at":1795434738.96197,"trial":2,"attempt":0,"state":"completed","values":[14.487578770418839],"metrics":{"loss":14.487578770418839},"cost":[0.00017693300014798297,0.00017669300000000554,null,null]}','e7d465ccddcbd5f640e10af04c6b89cc');
INSERT INTO "events" VALUES(1,11,'suggested',3,1.79543473896197223658e+09,'{"kind":"suggested","at":1795434738.9619722,"trial":3,"config":{"x":-4.4478549313903,"k":2,"o":"adam"},"origin":["random","",10,3,1,0],"session":"51e145efd14d4abe"}','d7e749870cd9fe9a42c1d61cc91a2e0d');
INSERT INTO "events" VALUES(1,12,'reported',3,1.79543473896236038204e+09,'{"kind":"reported","at":1795434738.9623604,"trial":3,"attempt":0,"step":1,"metrics":{"loss":20.783413490693015}}','c425f460b1fff958ff7526ccda148d08');
INSERT INTO "events" VALUES(1,13,'finished',3,1.79543473896251368519e+09,'{"kind":"finished","at":1795434738.9625137,"trial":3,"attempt":0,"state":"completed","values":[19.783413490693015],"metrics":{"loss":19.783413490693015},"cost":[0.0001636930001041037,0.00016358299999996717,null,null]}','c4c558a53a187752ba8324a7ad60413d');
INSERT INTO "events" VALUES(1,14,'suggested',4,1.79543473896251630787e+09,'{"kind":"suggested","at":1795434738.9625163,"trial":4,"config":{"x":-0.5154679569198,"k":2,"o":"sgd","m":0.98848047632237},"origin":["random","",13,4,1,0],"session":"51e145efd14d4abe"}','1aaeae33d6de3be87dcf5630387dc0af');
INSERT INTO "events" VALUES(1,15,'reported',4,1.79543473896290397637e+09,'{"kind":"reported","at":1795434738.962904,"trial":4,"attempt":0,"step":1,"metrics":{"loss":1.2657072146110728}}','bc23611c2d8331a110a837dd9bf3de55');
INSERT INTO "events" VALUES(1,16,'finished',4,1.7954347389630565643e+09,'{"kind":"finished","at":1795434738.9630566,"trial":4,"attempt":0,"state":"completed","values":[0.2657072146110728],"metrics":{"loss":0.2657072146110728},"cost":[0.00016292199961753795,0.00016273199999994326,null,null]}','43902a410616c1b7263514f7c46e4576');
INSERT INTO "events" VALUES(1,17,'suggested',5,1.79543473896305871007e+09,'{"kind":"suggested","at":1795434738.9630587,"trial":5,"config":{"x":1.4135142224941,"k":1,"o":"sgd","m":0.85271056748786},"origin":["random","",16,5,1,0],"session":"51e145efd14d4abe"}','f66c56c5c783b9aebac57886f0d1a2cb');
INSERT INTO "events" VALUES(1,18,'reported',5,1.79543473896341586109e+09,'{"kind":"reported","at":1795434738.9634159,"trial":5,"attempt":0,"step":1,"metrics":{"loss":2.9980224571931}}','0e925490931b27b79096befc0ef85b34');
INSERT INTO "events" VALUES(1,19,'finished',5,1.79543473896355271343e+09,'{"kind":"finished","at":1795434738.9635527,"trial":5,"attempt":0,"state":"completed","values":[1.9980224571931],"metrics":{"loss":1.9980224571931},"cost":[0.00014590699993277667,0.0001457059999999677,null,null]}','93f464d7d1bdafcba2a3af2358e2e21e');
INSERT INTO "events" VALUES(1,20,'suggested',6,1.79543473896355485919e+09,'{"kind":"suggested","at":1795434738.9635549,"trial":6,"config":{"x":4.1492421528149,"k":3,"o":"adam"},"origin":["random","",19,6,1,0],"session":"51e145efd14d4abe"}','a18425b5bb0e66504bba5bae97cdd76b');
INSERT INTO "events" VALUES(1,21,'reported',6,1.79543473896391296389e+09,'{"kind":"reported","at":1795434738.963913,"trial":6,"attempt":0,"step":1,"metrics":{"loss":18.216210442696028}}','4776a4f8556152fd0c6a0c901d29dd9a');
INSERT INTO "events" VALUES(1,22,'finished',6,1.79543473896484756472e+09,'{"kind":"finished","at":1795434738.9648476,"trial":6,"attempt":0,"state":"failed","metrics":{"loss":18.216210442696028},"reason":{"kind":"error","message":"RuntimeError: three","output":"Traceback (most recent call last):\n  File \"/home/me/tunesmith/src/tunesmith/run/inline.py\", line 70, in _run\n    returned = call(self._objective, self._with_trial, trial)\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/home/me/tunesmith/src/tunesmith/run/objective.py\", line 38, in call\n    returned = function(trial.config, trial) if with_trial else function(trial.config)\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/home/me/mk1.py\", line 8, in f\n    if c[\"k\"]==3: raise RuntimeError(\"three\")\n                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^\nRuntimeError: three"},"cost":[0.0009400469998581684,0.0009407189999999233,null,null]}','72e1b77b10fe971139823aee90f717a7');
INSERT INTO "events" VALUES(1,23,'suggested',7,1.79543473896485114094e+09,'{"kind":"suggested","at":1795434738.9648511,"trial":7,"config":{"x":-1.7615453391765,"k":1,"o":"adam"},"origin":["random","",22,7,1,0],"session":"51e145efd14d4abe"}','b315898de900d4baf8d2e347e63e24c0');
INSERT INTO "events" VALUES(1,24,'reported',7,1.79543473896553492548e+09,'{"kind":"reported","at":1795434738.965535,"trial":7,"attempt":0,"step":1,"metrics":{"loss":4.1030419819744495}}','f0029c0b8d485872f2b849694a3f64e6');
INSERT INTO "events" VALUES(1,25,'finished',7,1795434738.96573,'{"kind":"finished","at":1795434738.96573,"trial":7,"attempt":0,"state":"completed","values":[3.10304198197445],"metrics":{"loss":3.10304198197445},"cost":[0.00021097399985592347,0.0002107840000000749,null,null]}','8b310820e6346f5457c48e8202a593e5');
INSERT INTO "events" VALUES(1,26,'suggested',8,1.79543473896573328968e+09,'{"kind":"suggested","at":1795434738.9657333,"trial":8,"config":{"x":3.5421061848488,"k":1,"o":"sgd","m":0.95154111201615},"origin":["random","",25,8,1,0],"session":"51e145efd14d4abe"}','599fd1f5e1ac7261aaa16a7477cfe322');
INSERT INTO "events" VALUES(1,27,'reported',8,1.79543473896614909175e+09,'{"kind":"reported","at":1795434738.966149,"trial":8,"attempt":0,"step":1,"metrics":{"loss":13.54651622474412}}','32030f62044a6b01925d775e98a3dd33');
INSERT INTO "events" VALUES(1,28,'finished',8,1.79543473896631193163e+09,'{"kind":"finished","at":1795434738.966312,"trial":8,"attempt":0,"state":"completed","values":[12.54651622474412],"metrics":{"loss":12.54651622474412},"cost":[0.00017008299982990138,0.00016986299999999233,null,null]}','15529b22aadf09c9554676bb2774fbe1');
INSERT INTO "events" VALUES(1,29,'suggested',9,1.79543473896631455418e+09,'{"kind":"suggested","at":1795434738.9663146,"trial":9,"config":{"x":0.1882780766258,"k":5,"o":"adam"},"origin":["random","",28,9,1,0],"session":"51e145efd14d4abe"}','c623332415caee7dcfc107770df37095');
INSERT INTO "events" VALUES(1,30,'reported',9,1.79543473896668243409e+09,'{"kind":"reported","at":1795434738.9666824,"trial":9,"attempt":0,"step":1,"metrics":{"loss":1.0354486341379106}}','47a615b499cc054424aec137fd464e7d');
INSERT INTO "events" VALUES(1,31,'finished',9,1.79543473896684503557e+09,'{"kind":"finished","at":1795434738.966845,"trial":9,"attempt":0,"state":"completed","values":[0.03544863413791062],"metrics":{"loss":0.03544863413791062},"cost":[0.00017030300023179734,0.00017029299999993253,null,null]}','273886449f8217f75ae5e67f8d6b52cd');
INSERT INTO "events" VALUES(1,32,'suggested',10,1.79543473896684741973e+09,'{"kind":"suggested","at":1795434738.9668474,"trial":10,"config":{"x":-2.9861232432414,"k":1,"o":"adam"},"origin":["random","",31,10,1,0],"session":"51e145efd14d4abe"}','347cfac35c90308242de577319418955');
INSERT INTO "events" VALUES(1,33,'reported',10,1.79543473896724653246e+09,'{"kind":"reported","at":1795434738.9672465,"trial":10,"attempt":0,"step":1,"metrics":{"loss":9.916932023826538}}','823cc7d36757935be63844b0a7105716');
INSERT INTO "events" VALUES(1,34,'finished',10,1.795434738967395544e+09,'{"kind":"finished","at":1795434738.9673955,"trial":10,"attempt":0,"state":"completed","values":[8.916932023826538],"metrics":{"loss":8.916932023826538},"cost":[0.00015776399959577248,0.00015757399999993815,null,null]}','fd89346728187225185da07628e62cf3');
INSERT INTO "events" VALUES(1,35,'suggested',11,1.79543473896739816668e+09,'{"kind":"suggested","at":1795434738.9673982,"trial":11,"config":{"x":-4.9768371369911,"k":3,"o":"sgd","m":0.95659753521649},"origin":["random","",34,11,1,0],"session":"51e145efd14d4abe"}','5d28805257cc84829c077cacc533d3cb');
INSERT INTO "events" VALUES(1,36,'reported',11,1.79543473896775484088e+09,'{"kind":"reported","at":1795434738.9677548,"trial":11,"attempt":0,"step":1,"metrics":{"loss":25.768907888133768}}','a0aa7bc563347a0f526c9841e41255c6');
INSERT INTO "events" VALUES(1,37,'finished',11,1795434738.9683,'{"kind":"finished","at":1795434738.9683,"trial":11,"attempt":0,"state":"failed","metrics":{"loss":25.768907888133768},"reason":{"kind":"error","message":"RuntimeError: three","output":"Traceback (most recent call last):\n  File \"/home/me/tunesmith/src/tunesmith/run/inline.py\", line 70, in _run\n    returned = call(self._objective, self._with_trial, trial)\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/home/me/tunesmith/src/tunesmith/run/objective.py\", line 38, in call\n    returned = function(trial.config, trial) if with_trial else function(trial.config)\n               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  File \"/home/me/mk1.py\", line 8, in f\n    if c[\"k\"]==3: raise RuntimeError(\"three\")\n                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^\nRuntimeError: three"},"cost":[0.0005514200001925929,0.0005516500000000146,null,null]}','1213fa595eecfea024a49f80b43b57bd');
INSERT INTO "events" VALUES(1,38,'ended',NULL,1.79543473896830320358e+09,'{"kind":"ended","at":1795434738.9683032,"why":"trials","detail":"all 12 trials have been run"}','29442e4143a6f54931c28b7d4eb9364e');
INSERT INTO "events" VALUES(1,39,'closed',NULL,1.7954347389686834812e+09,'{"kind":"closed","at":1795434738.9686835,"session":"51e145efd14d4abe"}','84121fcfd0fa4e2a1a89c621a9a222cf');
INSERT INTO "events" VALUES(1,40,'corrected',1,1.79543473898512911794e+09,'{"kind":"corrected","at":1795434738.985129,"trial":1,"values":[0.125],"metrics":{"loss":0.125},"why":"typo in the log","by":"root"}','1330562d323f662b20d06aba95b5b58b');
INSERT INTO "events" VALUES(1,41,'retracted',2,1.79543473898893404003e+09,'{"kind":"retracted","at":1795434738.988934,"trial":2,"why":"wrong data","by":"root"}','fde79f6dca568447fa89e0f64d4ddfdd');
INSERT INTO "events" VALUES(1,42,'annotated',0,1.79543473899090385431e+09,'{"kind":"annotated","at":1795434738.9909039,"trial":0,"note":"first one","tags":{"who":"me"},"by":"root"}','86ee3aa524f661d47728751d0acb5da9');
INSERT INTO "events" VALUES(1,43,'enqueued',12,1.79543473899164128301e+09,'{"kind":"enqueued","at":1795434738.9916413,"trial":12,"config":{"x":0.0,"k":2,"o":"adam"},"origin":["user","",0,0,0,0]}','c58fb2c545159ac11a73d342b37be5e4');
INSERT INTO "events" VALUES(1,44,'edited',NULL,1.79543473899305295942e+09,'{"kind":"edited","at":1795434738.993053,"changes":{"space":{"x":{"float":[-4.0,4.0]},"k":{"int":[1,8],"log":true},"o":{"choice":["sgd","adam","rmsprop"]},"m":{"float":[0.5,0.99],"log":"reverse","when":{"o":"sgd"}},"extra":{"int":[0,3],"default":1}}},"by":"root"}','9ec7f02f14740049c826bcc3b566ad93');
CREATE TABLE studies (
	id INTEGER NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	created_at FLOAT NOT NULL, 
	spec TEXT NOT NULL, 
	lease_holder TEXT, 
	lease_until FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "studies" VALUES(1,'old',1.79543473894593834882e+09,'{"name": "old", "space": {"x": {"float": [-5.0, 5.0]}, "k": {"int": [1, 8], "log": true}, "o": {"choice": ["sgd", "adam"]}, "m": {"float": [0.5, 0.99], "log": "reverse", "when": {"o": "sgd"}}}, "objectives": [{"metric": "loss", "goal": "minimize"}], "limits": {"trials": 12}, "searcher": "random", "seed": 5}',NULL,NULL);
CREATE TABLE trials (
	study INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	state VARCHAR(12) NOT NULL, 
	value FLOAT, 
	retracted BOOLEAN DEFAULT '0' NOT NULL, 
	outside BOOLEAN DEFAULT '0' NOT NULL, 
	PRIMARY KEY (study, number), 
	FOREIGN KEY(study) REFERENCES studies (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "trials" VALUES(1,0,'completed',2.71868799015763662474e-01,0,0);
INSERT INTO "trials" VALUES(1,1,'completed',0.125,0,0);
INSERT INTO "trials" VALUES(1,2,'completed',1.44875787704188390141e+01,1,0);
INSERT INTO "trials" VALUES(1,3,'completed',1.97834134906930145803e+01,0,1);
INSERT INTO "trials" VALUES(1,4,'completed',2.65707214611072772836e-01,0,0);
INSERT INTO "trials" VALUES(1,5,'completed',1.9980224571931,0,0);
INSERT INTO "trials" VALUES(1,6,'failed',NULL,0,1);
INSERT INTO "trials" VALUES(1,7,'completed',3.10304198197445,0,0);
INSERT INTO "trials" VALUES(1,8,'completed',1.25465162247441206486e+01,0,0);
INSERT INTO "trials" VALUES(1,9,'completed',3.54486341379106201232e-02,0,0);
INSERT INTO "trials" VALUES(1,10,'completed',8.91693202382653815618e+00,0,0);
INSERT INTO "trials" VALUES(1,11,'failed',NULL,0,1);
INSERT INTO "trials" VALUES(1,12,'waiting',NULL,0,0);
CREATE TABLE tunesmith_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "tunesmith_version" VALUES('0002');
CREATE INDEX events_by_trial ON events (study, trial);
COMMIT;

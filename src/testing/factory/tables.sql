-- The tables of Zuul 14, as far as they matter here, for machines without Zuul.
CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY);
INSERT INTO alembic_version VALUES ('f7843ddf1552');
CREATE TABLE zuul_buildset (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, pipeline varchar(255), message text, tenant varchar(255),
  result varchar(255), uuid varchar(36), event_id varchar(255), event_timestamp datetime,
  first_build_start_time datetime, last_build_end_time datetime, updated datetime, KEY (uuid)
);
CREATE TABLE zuul_ref (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, project varchar(255) NOT NULL, ref varchar(255) NOT NULL,
  ref_url varchar(255) NOT NULL, `change` int NOT NULL, patchset varchar(40) NOT NULL, oldrev varchar(40) NOT NULL,
  newrev varchar(40) NOT NULL, branch varchar(255) NOT NULL,
  UNIQUE KEY (project, ref, `change`, patchset, oldrev, newrev)
);
CREATE TABLE zuul_buildset_ref (
  buildset_id int NOT NULL, ref_id int NOT NULL, PRIMARY KEY (buildset_id, ref_id),
  FOREIGN KEY (buildset_id) REFERENCES zuul_buildset (id), FOREIGN KEY (ref_id) REFERENCES zuul_ref (id)
);
CREATE TABLE zuul_build (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, buildset_id int, uuid varchar(36), job_name varchar(255),
  result varchar(255), start_time datetime, end_time datetime, voting tinyint(1), log_url varchar(255),
  error_detail text, final tinyint(1), held tinyint(1), nodeset varchar(255), ref_id int, KEY (uuid, buildset_id),
  FOREIGN KEY (buildset_id) REFERENCES zuul_buildset (id), FOREIGN KEY (ref_id) REFERENCES zuul_ref (id)
);
CREATE TABLE zuul_artifact (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, build_id int, name varchar(255), url text, metadata text,
  FOREIGN KEY (build_id) REFERENCES zuul_build (id)
);
CREATE TABLE zuul_build_event (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, build_id int, event_time datetime, event_type varchar(255),
  description text, FOREIGN KEY (build_id) REFERENCES zuul_build (id)
);
CREATE TABLE zuul_provides (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, build_id int, name varchar(255),
  FOREIGN KEY (build_id) REFERENCES zuul_build (id)
);

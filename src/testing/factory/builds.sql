-- Adds the builds with the numbers @FIRST@ to @LAST@, and the changes, buildsets and artifacts that go with them.
INSERT IGNORE INTO zuul_ref (id, project, ref, ref_url, `change`, patchset, oldrev, newrev, branch)
SELECT seq DIV 12 + 1, concat('project-', seq DIV 12 MOD 17), concat('refs/changes/', seq DIV 12, '/1'),
  concat('https://review.example.com/c/', seq DIV 12), seq DIV 12, '1', '', sha1(concat('ref', seq DIV 12)), 'master'
FROM seq_@FIRST@_to_@LAST@;
INSERT IGNORE INTO zuul_buildset (id, pipeline, tenant, result, uuid, event_id, event_timestamp,
  first_build_start_time, last_build_end_time, updated)
SELECT seq DIV 6 + 1, elt(1 + crc32(seq DIV 6) MOD 3, 'check', 'gate', 'post'), 'local', 'SUCCESS',
  md5(concat('buildset', seq DIV 6)), md5(concat('event', seq DIV 6)),
  '2024-01-01' + INTERVAL (seq DIV 6) * 240 + 30 SECOND, '2024-01-01' + INTERVAL (seq DIV 6) * 240 + 60 SECOND,
  '2024-01-01' + INTERVAL (seq DIV 6) * 240 + 900 SECOND, '2024-01-01' + INTERVAL (seq DIV 6) * 240 + 902 SECOND
FROM seq_@FIRST@_to_@LAST@;
INSERT IGNORE INTO zuul_buildset_ref (buildset_id, ref_id)
SELECT DISTINCT seq DIV 6 + 1, seq DIV 12 + 1 FROM seq_@FIRST@_to_@LAST@;
INSERT INTO zuul_build (id, buildset_id, uuid, job_name, result, start_time, end_time, voting, log_url, final, held,
  nodeset, ref_id)
SELECT seq, seq DIV 6 + 1, md5(concat('build', seq)),
  elt(1 + seq MOD 7, 'linters', 'tox-py311', 'tox-docs', 'go-test', 'sf-operator-dev-multinode', 'rpm-build', 'noop'),
  elt(1 + crc32(seq) MOD 8, 'FAILURE', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'TIMED_OUT', 'SUCCESS'),
  '2024-01-01' + INTERVAL seq * 40 + crc32(concat('start', seq)) MOD 8 SECOND,
  '2024-01-01' + INTERVAL seq * 40 + 60 + crc32(concat('end', seq)) MOD 900 SECOND,
  seq MOD 7 <> 2, concat('https://logserver.ci.example.com/zuul/local/', md5(concat('build', seq)), '/'), 1, 0,
  elt(1 + seq MOD 3, 'fedora-40-container', 'centos-9-stream', 'ubuntu-jammy'), seq DIV 12 + 1
FROM seq_@FIRST@_to_@LAST@;
INSERT INTO zuul_artifact (build_id, name, url, metadata)
SELECT id, 'Zuul Manifest', concat(log_url, 'zuul-manifest.json'), '{"type": "zuul_manifest"}'
FROM zuul_build WHERE id BETWEEN @FIRST@ AND @LAST@ AND id MOD 5 = 0 ORDER BY id;

//! What a database is made of besides tables.

use super::Scene;
use sfarc::testing::factory::Options;

/// A parent and a child, and one of everything that cannot be moved with a table.
const EXTRAS: &str = "
CREATE TABLE parent (id INT PRIMARY KEY, name VARCHAR(20)) ENGINE=InnoDB;
CREATE TABLE child (id INT PRIMARY KEY AUTO_INCREMENT, parent INT NOT NULL, `odd name` VARCHAR(20),
  CONSTRAINT child_parent FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE) ENGINE=InnoDB;
INSERT INTO parent VALUES (1, 'one'), (2, 'two');
INSERT INTO child (parent, `odd name`) VALUES (1, 'a'), (2, 'b'), (2, 'c');
CREATE TRIGGER child_named BEFORE INSERT ON child FOR EACH ROW SET NEW.`odd name` = CONCAT('made ', NEW.`odd name`);
CREATE VIEW couples AS SELECT parent.name, child.`odd name` FROM parent JOIN child ON child.parent = parent.id;
CREATE FUNCTION doubled (n INT) RETURNS INT DETERMINISTIC RETURN n * 2;
CREATE PROCEDURE forget_child (IN which INT) DELETE FROM child WHERE id = which;
CREATE EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM child;
";

/// What is seen of all that, each line by its own.
const SEEN: &str = "
SELECT 'trigger', trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = 'zuul';
SELECT 'routine', routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = 'zuul' ORDER BY 2;
SELECT 'event', event_name, status, event_definition FROM information_schema.events WHERE event_schema = 'zuul';
SELECT 'key', constraint_name, table_name, referenced_table_name, delete_rule FROM information_schema.referential_constraints
  WHERE constraint_schema = 'zuul' ORDER BY 3, 2;
SELECT 'view', view_definition FROM information_schema.views WHERE table_schema = 'zuul';
SELECT 'couple', name, `odd name` FROM couples ORDER BY 2, 3;
SELECT 'doubled', doubled(21);
";

#[test]
fn views_triggers_routines_events_and_foreign_keys_survive() {
    let Some(scene) = Scene::start(Options { builds: 5, ..Options::default() }) else { return };
    scene.factory.sql(EXTRAS);
    let seen = scene.factory.sql(SEEN);
    assert!(seen.lines().count() >= 10, "{seen}");
    let (id, _) = scene.capture();

    scene
        .factory
        .sql("DROP TRIGGER child_named; DROP VIEW couples; DROP FUNCTION doubled; DELETE FROM parent WHERE id = 2;");
    scene.factory.sql("CREATE TABLE later (id INT); CREATE VIEW newer AS SELECT id FROM later;");
    let options = scene.options();
    scene.restore(id, &options).expect("restored");
    assert_eq!(scene.factory.sql(SEEN), seen);
    assert_eq!(scene.factory.sql("SHOW TABLES LIKE '%er'"), "", "nothing of the other state is left");
    // They work, not only look right.
    scene.factory.sql("INSERT INTO child (parent, `odd name`) VALUES (1, 'd'); CALL forget_child(1); DELETE FROM parent WHERE id = 2;");
    assert_eq!(scene.factory.sql("SELECT `odd name` FROM child"), "made d\n");
    // The state of before is whole, under its other name.
    let old = scene.factory.sql("SHOW DATABASES LIKE 'zuul\\_sfarc\\_%'");
    assert!(old.starts_with("zuul_sfarc_old_") && old.lines().count() == 1, "{old}");
    let old = old.trim();
    assert_eq!(
        scene.factory.sql(&format!("SELECT COUNT(*) FROM {old}.newer; SELECT COUNT(*) FROM {old}.parent")),
        "0\n1\n"
    );
    assert_eq!(
        scene.factory.sql(&format!("SELECT status FROM information_schema.events WHERE event_schema = '{old}'")),
        "DISABLED\n"
    );

    let dropping = sfarc::engine::recovery::Options { drop_old: true, safety: false, ..options };
    scene.restore(id, &dropping).expect("restored again");
    assert_eq!(scene.factory.sql("SHOW DATABASES LIKE 'zuul\\_sfarc\\_%'"), "");
    assert_eq!(scene.factory.sql(SEEN), seen);
}

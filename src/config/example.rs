//! A file to begin with: every key with what it means, and the usual value where there is one.

/// What `sfarc config init` writes, for these targets: names, and where they are.
pub fn example(targets: &[ExampleTarget]) -> String {
    let mut text = HEAD.to_owned();
    for target in targets {
        text.push_str(&target.text());
    }
    text
}

/// One target of the example.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExampleTarget {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// True if a Software Factory is there.
    pub software_factory: bool,
    /// The file of its custom resource.
    pub cr: Option<String>,
}

impl ExampleTarget {
    fn text(&self) -> String {
        let Self { name, namespace, .. } = self;
        let mut text = format!("\n[[target]]\nname = \"{name}\"\nnamespace = \"{namespace}\"\n");
        if self.software_factory {
            text.push_str("plan = \"software-factory\"\n");
            match &self.cr {
                Some(cr) => text.push_str(&format!("cr = \"{cr}\"\n")),
                None => text.push_str("# cr = \"my-sf.yaml\"           # the custom resource, as you deploy it\n"),
            }
            text.push_str("# with = [\"logs\"]             # optional streams, see `sfarc plan`\n");
        } else {
            text.push_str(STREAM);
        }
        text
    }
}

const HEAD: &str = r#"# sfarc.toml: what `sfarc run` does. `sfarc config check` says whether it can be meant; docs/operations.md has every key.
# Keys of a target may also stand here, for all targets that do not say otherwise.

# How often; or `cron = "30 2 * * *"`, then in this time zone. Days and weeks of the retention are those of the zone, too.
every = "15m"
# timezone = "Europe/Berlin"
# jitter = "30s"                # each run begins up to so much later

# How many targets are taken side by side.
# parallel = 2

[repository]
# Or $SFARC_REPO, and $SFARC_PASSWORD_FILE or $SFARC_KEY_FILE.
# path = "/var/lib/sfarc/repository"
# password-file = "/run/secrets/sfarc/password"
# expect-id = "8f3c0d5e7a1b42968f3c0d5e7a1b4296"  # any other repository is refused; `sfarc stats` prints the id
# Of a bucket (`s3://bucket/prefix` is a path), what the cloud's own tools would not find:
# endpoint = "https://s3.example"
# region = "eu-1"
# lock-for = "30d"              # Object Lock: nobody removes what is put for so long

# For each target by itself: what satisfies any of these rules is kept. The last good snapshot, the last one that a drill
# has proven, and what is pinned always are.
[retention]
keep-last = 8
keep-hourly = 24
keep-daily = 7
keep-weekly = 5
keep-monthly = 12
keep-yearly = 3
# keep-within = "2d"
# keep-tags = ["release"]
# keep-inconsistent-within = "7d"

[upkeep]
# prune-every = "1d"            # or "never"
# max-unused = "4%"             # garbage that may stay in the repository
# rewrite-at-most = "10GiB"     # of packs with garbage in them, at a time
# check-every = "1d"            # a part each time, so that every byte is read ...
# read-all-within = "30d"       # ... in this time
# read-at-most = "10GiB"        # in one check
# time-at-most = "6h"           # for each work of upkeep
# drill-every = "7d"            # restores the newest snapshot of a target for practice
# drill-namespace = "sf-drill"  # in a pod there (deploy/drill.yaml); without, on this machine

[status]
# listen = "0.0.0.0:9808"       # /metrics, /healthz, /readyz
# page = true                   # and a page for people
# file = "/var/lib/sfarc/status.json"
# textfile = "/var/lib/node_exporter/sfarc.prom"
# webhook = "https://chat.example/hook"

# [hooks]                       # commands of this machine, without secrets of sfarc; $SFARC_TARGET, $SFARC_OUTCOME, $SFARC_SNAPSHOT, $SFARC_ERROR
# before = "..."                # if it fails, nothing is taken
# after = "..."
# on-failure = "..."
"#;

const STREAM: &str = r#"
[[target.stream]]
name = "db"
workload = "statefulset/mariadb"
container = "mariadb"
mariadb = "shop"                # or: command = "pg_dumpall", path = "/srv/uploads", objects = ["secrets"]
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Upkeep, usual_policy};
    use crate::schedule::When;

    fn targets() -> Vec<ExampleTarget> {
        let of = |name: &str, software_factory| ExampleTarget {
            name: name.to_owned(),
            namespace: name.to_owned(),
            software_factory,
            cr: software_factory.then(|| "my-sf.yaml".to_owned()),
        };
        vec![of("sf", true), of("shop", false)]
    }

    #[test]
    fn the_example_says_the_usual() {
        let config = Config::parse(&example(&targets()), Path::new("/etc/sfarc.toml")).expect("it can be read");
        assert_eq!(config.targets.iter().map(|target| &target.name[..]).collect::<Vec<_>>(), ["sf", "shop"]);
        assert_eq!(config.targets[0].retention, usual_policy());
        assert_eq!(config.upkeep, Upkeep::default());
        assert!(matches!(config.targets[1].schedule.when, When::Every(every) if every == Duration::from_secs(900)));
        assert_eq!(config.targets[0].plan.cr.as_deref(), Some(Path::new("/etc/my-sf.yaml")));
    }

    #[test]
    fn every_key_of_the_example_can_be_switched_on() {
        let text = example(&targets());
        let on: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") || key.starts_with('[') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .filter(|line| !line.starts_with("Or $") && !line.starts_with("How often"))
            .collect();
        let config = Config::parse(&on, Path::new("/etc/sfarc.toml")).unwrap_or_else(|error| panic!("{error}\n{on}"));
        assert!(config.status.page && config.status.listen.is_some() && config.upkeep.drill_every.is_some());
        assert!(config.targets[0].hooks.before.is_some());
    }
}

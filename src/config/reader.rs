//! From the file as it is written to what it means; whatever cannot be meant is named with its line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::bucket::Bucket;
use super::tables::{FileTable, RetentionTable, SpanOrNever, UpkeepTable};
use super::{Config, FilePlan, Hooks, Repository, Status, Target, Upkeep, is_url, read_webhook, usual_policy};
use crate::engine::retention::{Own, Policy, Span};
use crate::k8s::Place;
use crate::plan::PlanError;
use crate::schedule::Schedule;

/// Reads one file.
pub(super) struct Reader<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Where it is.
    pub(super) path: &'a Path,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        self.text[..at.min(self.text.len())].matches('\n').count() + 1
    }

    fn wrong<T>(&self, at: &Spanned<T>, why: impl std::fmt::Display) -> PlanError {
        let why = format!("line {}: {why}", self.line(at.span().start));
        PlanError::File { path: self.path.display().to_string(), why }
    }

    pub(super) fn config(&self, file: &FileTable) -> Result<Config, PlanError> {
        let repository = file.repository.as_ref().map(Spanned::get_ref).cloned().unwrap_or_default();
        let ways =
            [repository.password_file.is_some(), repository.password_command.is_some(), repository.key_file.is_some()];
        let has_nul = repository.password_command.as_ref().is_some_and(|line| line.contains('\0'));
        if let Some(table) = file.repository.as_ref().filter(|_| has_nul) {
            return Err(self.wrong(table, "`password-command` holds a NUL character"));
        }
        if let Some(table) = file.repository.as_ref().filter(|_| ways.iter().filter(|way| **way).count() > 1) {
            return Err(
                self.wrong(table, "one of `password-file`, `password-command`, `key-file` opens the repository")
            );
        }
        let parallel = file.parallel.as_ref().map_or(2, |parallel| *parallel.get_ref());
        if let Some(none) = file.parallel.as_ref().filter(|parallel| *parallel.get_ref() == 0) {
            return Err(self.wrong(none, "`parallel` must be 1 at least"));
        }
        Ok(Config {
            repository: Repository {
                path: repository.path,
                password_file: repository.password_file,
                password_command: repository.password_command,
                key_file: repository.key_file,
                expect_id: repository.expect_id.map(|id| id.0),
                bucket: Bucket {
                    endpoint: repository.endpoint.map(|endpoint| endpoint.0),
                    region: repository.region,
                    addressing: repository.addressing.map(Into::into),
                    lock_for: repository.lock_for.map(|period| period.0),
                    lock_mode: repository.lock_mode.map(Into::into),
                },
            },
            targets: self.targets(file)?,
            parallel,
            upkeep: self.upkeep(file.upkeep.as_ref())?,
            own: own(file.retention.as_ref().map(Spanned::get_ref)),
            status: self.status(file)?,
        })
    }

    fn targets(&self, file: &FileTable) -> Result<Vec<Target>, PlanError> {
        let Some(first) = file.target.first() else {
            return Ok(vec![self.target(file, file)?]);
        };
        if file.has_plan() || file.name.is_some() {
            let why = "a file with `[[target]]` says in them what is taken: `name`, `plan`, `cr` and `[[stream]]` belong there";
            return Err(self.wrong(first, why));
        }
        let mut targets: Vec<Target> = Vec::new();
        for table in &file.target {
            let target = table.get_ref();
            let nested = target.repository.is_some() || target.parallel.is_some() || target.upkeep.is_some();
            if nested || target.status.is_some() || !target.target.is_empty() {
                let why = "`repository`, `parallel`, `upkeep`, `status` and `[[target]]` are for the whole file";
                return Err(self.wrong(table, why));
            }
            let Some(name) = &target.name else { return Err(self.wrong(table, "a target needs a `name`")) };
            if targets.iter().any(|other| other.name == *name.get_ref()) {
                return Err(self.wrong(name, format_args!("two targets are called `{}`", name.get_ref())));
            }
            targets.push(self.target(target, file)?);
        }
        Ok(targets)
    }

    /// A target; what it does not say, the file says.
    fn target(&self, table: &FileTable, file: &FileTable) -> Result<Target, PlanError> {
        let plan = FilePlan::of(table, self.path, |at| self.line(at))?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_odd = |name: &&Spanned<String>| name.get_ref().is_empty() || !name.get_ref().bytes().all(is_plain);
        if let Some(name) = table.name.as_ref().filter(is_odd) {
            let text = name.get_ref();
            let why = format_args!("`{text}` is no name of a target: letters, digits, `-`, `_` and `.` only");
            return Err(self.wrong(name, why));
        }
        let name = table.name.as_ref().map_or("default", |name| name.get_ref());
        let folder = |path: &PathBuf| self.path.parent().map_or(path.clone(), |folder| folder.join(path));
        let zone = table.timezone.as_ref().or(file.timezone.as_ref());
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) if name.get_ref() == "local" => TimeZone::system(),
            Some(name) => TimeZone::get(name.get_ref()).map_err(|_| {
                self.wrong(name, format_args!("`{}` is no time zone such as `Europe/Berlin` or `UTC`", name.get_ref()))
            })?,
        };
        let hooks = table.hooks.as_ref().or(file.hooks.as_ref()).cloned().unwrap_or_default();
        for (key, line) in [("before", &hooks.before), ("after", &hooks.after), ("on-failure", &hooks.on_failure)] {
            // No program can be started with such an argument: better told now than when it is needed.
            if line.as_ref().is_some_and(|line| line.contains('\0')) {
                let why = format!("the hook `{key}` of the target `{name}` holds a NUL character");
                return Err(PlanError::File { path: self.path.display().to_string(), why });
            }
        }
        Ok(Target {
            name: name.to_owned(),
            place: Place {
                kubeconfig: table.kubeconfig.as_ref().or(file.kubeconfig.as_ref()).map(folder),
                context: table.context.clone().or_else(|| file.context.clone()),
            },
            plan,
            schedule: self.schedule(table, file, &zone)?,
            tags: if table.tags.is_empty() { file.tags.clone() } else { table.tags.clone() },
            retention: self.retention(table.retention.as_ref().or(file.retention.as_ref()))?,
            zone,
            hooks: Hooks { before: hooks.before, after: hooks.after, on_failure: hooks.on_failure },
        })
    }

    fn schedule(&self, table: &FileTable, file: &FileTable, zone: &TimeZone) -> Result<Schedule, PlanError> {
        const USUAL: Duration = Duration::from_secs(3600);
        let says = |table: &FileTable| table.every.is_some() || table.cron.is_some();
        let (of, other) = if says(table) { (table, file) } else { (file, table) };
        let mut schedule = match (&of.every, &of.cron) {
            (Some(_), Some(cron)) => return Err(self.wrong(cron, "either `every` or `cron` says when")),
            (Some(every), None) if every.get_ref().0 < Duration::from_secs(1) => {
                return Err(self.wrong(every, "`every` is one second at least"));
            }
            (Some(every), None) => Schedule::every(every.get_ref().0),
            (None, Some(cron)) => Schedule::cron(cron.get_ref(), zone.clone()).map_err(|why| self.wrong(cron, why))?,
            (None, None) => Schedule::every(USUAL),
        };
        schedule.jitter = table.jitter.or(other.jitter).or(file.jitter).map_or(Duration::ZERO, |jitter| jitter.0);
        Ok(schedule)
    }

    fn retention(&self, table: Option<&Spanned<RetentionTable>>) -> Result<Policy, PlanError> {
        let Some(spanned) = table else { return Ok(usual_policy()) };
        let table = spanned.get_ref();
        let policy = Policy {
            last: table.keep_last.unwrap_or(0),
            hourly: table.keep_hourly.unwrap_or(0),
            daily: table.keep_daily.unwrap_or(0),
            weekly: table.keep_weekly.unwrap_or(0),
            monthly: table.keep_monthly.unwrap_or(0),
            yearly: table.keep_yearly.unwrap_or(0),
            within: table.keep_within.map(|span| Span(span.0)),
            tags: table.keep_tags.clone(),
            inconsistent_within: Some(table.keep_inconsistent_within.map_or(Span::days(7), |span| Span(span.0))),
        };
        if policy.is_empty() {
            let why = "it would keep one snapshot only: name a rule, such as `keep-last = 1` or `keep-daily = 7`";
            return Err(self.wrong(spanned, why));
        }
        Ok(policy)
    }

    fn upkeep(&self, table: Option<&Spanned<UpkeepTable>>) -> Result<Upkeep, PlanError> {
        let usual = Upkeep::default();
        let Some(table) = table.map(Spanned::get_ref) else { return Ok(usual) };
        let every = |of: &Option<Spanned<SpanOrNever>>, usual: Option<Duration>| match of.as_ref().map(Spanned::get_ref)
        {
            None => usual,
            Some(SpanOrNever::Never) => None,
            Some(SpanOrNever::Span(span)) => Some(span.0),
        };
        let share = |text: &Spanned<String>| {
            let number = text.get_ref().trim_end_matches('%').parse::<f64>().ok();
            let share = number.filter(|share| (0.0..=100.0).contains(share)).map(|share| share / 100.0);
            share.ok_or_else(|| self.wrong(text, format_args!("`{}` is no share such as `5%`", text.get_ref())))
        };
        let check_every = every(&table.check_every, usual.check_every);
        let read_all_within = table.read_all_within.as_ref().map_or(usual.read_all_within, |span| span.get_ref().0);
        if let (Some(check), Some(all)) = (check_every, table.read_all_within.as_ref())
            && check > all.get_ref().0
        {
            return Err(
                self.wrong(all, "not every byte can be read in a time in which nothing is checked: see `check-every`")
            );
        }
        Ok(Upkeep {
            prune_every: every(&table.prune_every, usual.prune_every),
            max_unused: table.max_unused.as_ref().map(share).transpose()?.unwrap_or(usual.max_unused),
            rewrite_at_most: table.rewrite_at_most.map_or(usual.rewrite_at_most, |size| size.0),
            check_every,
            read_all_within,
            read_at_most: table.read_at_most.map(|size| size.0),
            time_at_most: table.time_at_most.map_or(usual.time_at_most, |span| span.0),
            drill_every: every(&table.drill_every, usual.drill_every),
            drill_namespace: table.drill_namespace.clone(),
        })
    }

    fn status(&self, file: &FileTable) -> Result<Status, PlanError> {
        let table = file.status.as_ref().map(Spanned::get_ref).cloned().unwrap_or_default();
        let listen = |text: &Spanned<String>| {
            let why = || format!("`{}` is no address with a port, such as `0.0.0.0:9808`", text.get_ref());
            text.get_ref().parse().map_err(|_| self.wrong(text, why()))
        };
        if let Some(url) = table.webhook.as_ref().filter(|url| !is_url(url.get_ref())) {
            return Err(self.wrong(url, "`webhook` is a URL that begins with http:// or https://"));
        }
        Ok(Status {
            listen: table.listen.as_ref().map(listen).transpose()?,
            page: table.page,
            file: table.file,
            textfile: table.textfile,
            webhook: match (table.webhook, table.webhook_file) {
                (Some(url), _) => Some(url.into_inner()),
                (None, Some(path)) => {
                    Some(read_webhook(&self.path.parent().map_or(path.clone(), |folder| folder.join(&path)))?)
                }
                (None, None) => None,
            },
        })
    }
}

fn own(table: Option<&RetentionTable>) -> Own {
    let (usual, table) = (Own::default(), table.cloned().unwrap_or_default());
    Own {
        safety_within: table.keep_safety_within.map_or(usual.safety_within, |span| Span(span.0)),
        safety_last: table.keep_safety_last.unwrap_or(usual.safety_last),
        records_within: table.keep_records_within.map_or(usual.records_within, |span| Span(span.0)),
    }
}

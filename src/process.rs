//! Programs of this machine. Nothing else in this crate starts any: what they find in their environment is decided here.
//!
//! A child inherits no secret of ours. What opens a repository is never handed on. The credentials of a cloud are for the
//! bucket of the repository: a command of the user gets them only if `$SFARC_COMMAND_ENV` names them, a helper that
//! fetches a password or a token gets them always, because it may ask that cloud for it (docs/operations.md).

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::Command;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Names the credentials that commands of the user get in spite of it, separated by commas.
pub const COMMAND_ENV: &str = "SFARC_COMMAND_ENV";
/// If it is `1`, this program may leave core dumps, and be looked into by debuggers.
pub const CORE_DUMPS: &str = "SFARC_CORE_DUMPS";

/// A variable of ours with one of these words in its name opens something, or leads to what does.
const SECRET_WORDS: [&str; 7] = ["PASS", "KEY", "SECRET", "TOKEN", "CREDENTIAL", "IDENTITY", "WEBHOOK"];
/// Variables that begin like this say who we are in a cloud.
const CLOUDS: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// Of those, the ones that only say where something is.
const PLACES: [&str; 3] = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"];
/// Credentials of a cloud under other names: managed identities of Azure, service accounts of Google.
const OTHERS: [&str; 5] = ["IDENTITY_HEADER", "IDENTITY_ENDPOINT", "MSI_SECRET", "MSI_ENDPOINT", "SERVICE_ACCOUNT"];

/// What a variable carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carries {
    /// Nothing of ours.
    Nothing,
    /// What opens a repository, or another secret of this program.
    Secret,
    /// A credential of a cloud.
    Credential,
}

impl Carries {
    fn of(name: &OsStr) -> Self {
        // No variable of ours has another name than one in ASCII.
        let Some(name) = name.to_str() else { return Self::Nothing };
        if name.strip_prefix("SFARC_").is_some_and(|rest| SECRET_WORDS.iter().any(|word| rest.contains(word))) {
            Self::Secret
        } else if OTHERS.contains(&name)
            || (CLOUDS.iter().any(|cloud| name.starts_with(cloud)) && !PLACES.contains(&name))
        {
            Self::Credential
        } else {
            Self::Nothing
        }
    }
}

/// The variables that a child is started with.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment(Vec<(OsString, OsString)>);

/// Values may be secrets: only names are shown.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Environment {
    /// For a command of the user, such as a dump or a hook: ours, without secrets and without credentials of clouds.
    pub fn for_command() -> Self {
        let named = std::env::var(COMMAND_ENV).unwrap_or_default();
        Self::filtered(std::env::vars_os(), |name, carries| match carries {
            Carries::Nothing => true,
            Carries::Secret => false,
            Carries::Credential => named.split(',').any(|named| name == OsStr::new(named.trim())),
        })
    }

    /// For what fetches a password: ours, without secrets.
    pub fn for_credential_helper() -> Self {
        Self::filtered(std::env::vars_os(), |_, carries| carries != Carries::Secret)
    }

    /// These variables and no others.
    pub fn only(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// With one more.
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    fn filtered(
        variables: impl Iterator<Item = (OsString, OsString)>,
        stays: impl Fn(&OsStr, Carries) -> bool,
    ) -> Self {
        Self(variables.filter(|(name, _)| stays(name, Carries::of(name))).collect())
    }
}

/// The names of variables that a helper must not see, for libraries that start one themselves.
pub fn hidden_from_helpers() -> Vec<String> {
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| Carries::of(name) == Carries::Secret).filter_map(|name| name.into_string().ok()).collect()
}

/// A shell that runs this line in this environment. More arguments are `$0`, `$1`, ... of the line.
pub fn shell(line: impl AsRef<OsStr>, environment: &Environment) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(line).env_clear().envs(environment.0.iter().map(|(name, value)| (name, value)));
    command
}

/// From now on neither a core dump nor another process of the same user shows what is in memory: passwords and keys.
/// Does nothing where `$SFARC_CORE_DUMPS` is `1`.
pub fn forbid_core_dumps() -> io::Result<()> {
    if std::env::var_os(CORE_DUMPS).is_some_and(|value| value == "1") {
        return Ok(());
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Of the hard limit nothing is taken: children may want dumps of their own.
    setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(environment: &Environment) -> Vec<&str> {
        environment.0.iter().filter_map(|(name, _)| name.to_str()).collect()
    }

    fn filtered(stays: impl Fn(&OsStr, Carries) -> bool) -> Environment {
        let all = [
            "PATH",
            "HOME",
            "KUBECONFIG",
            "SFARC_REPO",
            "SFARC_PASSWORD",
            "SFARC_TO_PASSWORD_FILE",
            "SFARC_KEY_FILE",
            "SFARC_WEBHOOK_FILE",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
            "AZURE_STORAGE_ACCOUNT_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "IDENTITY_HEADER",
            "MY_PASSWORD",
        ];
        Environment::filtered(all.iter().map(|name| (OsString::from(name), OsString::from("value"))), stays)
    }

    #[test]
    fn children_find_no_secret_of_ours() {
        let plain = ["PATH", "HOME", "KUBECONFIG", "SFARC_REPO", "AWS_REGION", "MY_PASSWORD"];
        assert_eq!(names(&filtered(|_, carries| carries == Carries::Nothing)), plain);
        let helper = filtered(|_, carries| carries != Carries::Secret);
        assert!(names(&helper).contains(&"AWS_SECRET_ACCESS_KEY") && names(&helper).contains(&"IDENTITY_HEADER"));
        assert!(!names(&helper).iter().any(|name| name.starts_with("SFARC_") && *name != "SFARC_REPO"));
    }

    #[test]
    fn what_is_shown_of_an_environment_are_names() {
        let shown = format!("{:?}", Environment::only([]).with("NAME", "a value"));
        assert!(shown.contains("NAME") && !shown.contains("a value"), "{shown}");
    }
}

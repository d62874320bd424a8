//! The only place that decides exit codes. They are restic's where restic has one.

use crate::error::Category;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything is done.
    Done,
    /// Something failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// Finished, but not everything could be read or given back exactly.
    Incomplete,
    /// There is no repository.
    NoRepository,
    /// The password or key file opens nothing.
    WrongKey,
    /// Damage was found.
    Damaged,
    /// Somebody asked to stop.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::NoRepository => 10,
            Self::WrongKey => 12,
            Self::Damaged => 13,
            Self::Interrupted => 130,
        }
    }
}

impl From<Category> for Exit {
    fn from(category: Category) -> Self {
        match category {
            Category::Failed => Self::Failed,
            Category::Usage => Self::Usage,
            Category::NoRepository => Self::NoRepository,
            Category::WrongKey => Self::WrongKey,
            Category::Damaged => Self::Damaged,
            Category::Interrupted => Self::Interrupted,
        }
    }
}

/// What `--help` says about exit codes.
pub const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 finished but incomplete, 10 no repository, \
12 wrong password or key file, 13 damage found, 130 interrupted.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_scripts_rely_on() {
        let categories = [
            (Category::Failed, 1),
            (Category::Usage, 2),
            (Category::NoRepository, 10),
            (Category::WrongKey, 12),
            (Category::Damaged, 13),
            (Category::Interrupted, 130),
        ];
        for (category, code) in categories {
            assert_eq!(Exit::from(category).code(), code, "{category:?}");
            assert!(HELP.contains(&format!("{code} ")), "{code}");
        }
        assert_eq!((Exit::Done.code(), Exit::Incomplete.code()), (0, 3));
    }
}

//! Which statements a dump of one database may hold.

/// Nothing, or what is there that no dump has.
pub(super) type Allowed = Result<(), &'static str>;

const OTHER_DATABASE: &str = "a statement that names another database";
const NOT_OF_A_DUMP: &str = "a statement that is in no dump of a database";
const CALL: &str = "a call of a function";
const UNCERTAIN: &str = "a statement of which some servers pass over a part";

/// Engines whose tables are somewhere else: in files that the statement names, or on other servers.
const ENGINES: &[&[u8]] =
    &[b"CONNECT", b"FEDERATED", b"FEDERATEDX", b"SPIDER", b"S3", b"SPHINX", b"OQGRAPH", b"MERGE", b"MRG_MYISAM"];

/// Where in a statement the next token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Start,
    /// Before the table that rows are for.
    Insert,
    /// Between that table and its rows.
    Columns,
    Rows,
    /// After `CREATE`, up to what is made.
    Create,
    /// At the name of what is made; then comes the rest of a table, or what is not read.
    Named(Made),
    Table,
    /// The body of a routine, trigger, event or view, which is not read.
    Body,
    /// After `DROP`.
    Drop,
    /// After `ALTER`.
    Alter,
    /// Names of tables of this database.
    Tables,
    /// After `LOCK`, `UNLOCK` or `START`.
    Fixed(&'static str),
    Set,
    /// After `SELECT` or `DO`.
    Call,
    /// In what follows `SETVAL`.
    Sequence,
    /// Nothing more is expected.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    Table,
    Trigger,
    Other,
}

/// Judges statements token by token.
#[derive(Debug, Default)]
pub(super) struct Judge {
    stage: Stage,
    /// The table that was made last, if it has no trigger: the only one that rows may be for.
    table: Option<Vec<u8>>,
    /// The name that is being read: a quote in it comes as two names side by side.
    name: Option<Vec<u8>>,
    /// The last token was a word.
    after_word: bool,
    /// The last token was the end of a name or of a word that stands for one.
    after_name: bool,
    /// The strings of a `SET`, one behind the other.
    texts: Vec<u8>,
    is_ambiguous: bool,
    comment: Comment,
}

/// Where in a conditional comment, and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Comment {
    #[default]
    None,
    /// At its beginning: the number of a version may follow. True for one that only MariaDB reads.
    Version(bool),
    /// Every server reads it.
    Certain,
    /// Some servers pass over it; it is a whole statement.
    Uncertain,
    /// Some servers pass over it; it is in the definition of a table.
    Part,
    /// After one that is a whole statement and that some servers pass over: the statement must be over, too.
    After,
}

/// Comments for versions up to this one every server in use reads.
const CERTAIN: u32 = 50_699;

impl Judge {
    /// True between two statements.
    pub(super) fn is_between(&self) -> bool {
        self.stage == Stage::Start
    }

    /// True if a backslash in a string may be a character like others.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }

    /// True in a conditional comment that some servers pass over.
    pub(super) fn is_uncertain(&self) -> bool {
        matches!(self.comment, Comment::Uncertain | Comment::Part)
    }

    /// A conditional comment begins.
    pub(super) fn begin_conditional(&mut self, is_of_mariadb: bool) {
        if self.comment == Comment::None {
            self.comment = Comment::Version(is_of_mariadb);
        }
    }

    /// It is over.
    pub(super) fn end_conditional(&mut self) {
        self.comment = match self.comment {
            Comment::Uncertain | Comment::After => Comment::After,
            _ => Comment::None,
        };
    }

    /// The first thing in a conditional comment: the number of its version, which is no word of the statement. True if it
    /// was that. What some servers pass over is a whole statement, or words in the definition of a table: so the statement
    /// is the same for all of them, or nothing.
    fn version(&mut self, word: &[u8]) -> Result<bool, &'static str> {
        let Comment::Version(is_of_mariadb) = self.comment else { return Ok(false) };
        let has_number = word.first().is_some_and(u8::is_ascii_digit);
        let number = std::str::from_utf8(word).ok().filter(|text| (5..=6).contains(&text.len())).map(str::parse::<u32>);
        let is_certain = match number {
            Some(Ok(number)) => number <= CERTAIN && !is_of_mariadb,
            _ if has_number => return Err("a conditional comment whose version is not plain"),
            _ => !is_of_mariadb,
        };
        self.comment = match self.stage {
            _ if is_certain => Comment::Certain,
            Stage::Start => Comment::Uncertain,
            Stage::Table => Comment::Part,
            _ => return Err(UNCERTAIN),
        };
        Ok(has_number)
    }

    /// Fails where something follows that must not.
    fn require_place(&mut self, is_word: bool) -> Allowed {
        if matches!(self.comment, Comment::Version(_)) {
            self.version(b"")?;
        }
        match self.comment {
            Comment::After => Err(UNCERTAIN),
            Comment::Part if !is_word => Err(UNCERTAIN),
            _ => Ok(()),
        }
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Allowed {
        if self.version(word)? {
            return Ok(());
        }
        self.require_place(true)?;
        let taken = match self.stage {
            Stage::Insert if !matches!(word, b"INTO" | b"IGNORE" | b"LOW_PRIORITY" | b"HIGH_PRIORITY" | b"DELAYED") => {
                self.named(word)
            }
            Stage::Named(_) if !matches!(word, b"IF" | b"NOT" | b"EXISTS") => self.named(word),
            _ => self.keyword(word),
        };
        // What follows VALUES is a row and no argument.
        (self.after_word, self.after_name) = (!matches!(word, b"VALUES" | b"VALUE"), true);
        taken
    }

    fn keyword(&mut self, word: &[u8]) -> Allowed {
        if self.stage == Stage::Table && self.name.is_some() && word == b"LIKE" {
            return Err("a table like another one");
        }
        self.end_name()?;
        self.stage = match self.stage {
            Stage::Start => self.start(word)?,
            Stage::Columns if matches!(word, b"VALUES" | b"VALUE") => Stage::Rows,
            Stage::Columns => return Err("rows that are not written out"),
            Stage::Create => created(word)?,
            Stage::Drop => match word {
                b"TABLE" | b"VIEW" | b"PROCEDURE" | b"FUNCTION" | b"TRIGGER" | b"EVENT" | b"SEQUENCE" | b"PACKAGE" => {
                    Stage::Tables
                }
                _ => return Err(NOT_OF_A_DUMP),
            },
            Stage::Alter if word == b"TABLE" => Stage::Tables,
            Stage::Alter => return Err("a statement that alters something else than a table"),
            Stage::Fixed(expected) if word == expected.as_bytes() => {
                if expected == "TABLES" {
                    Stage::Tables
                } else {
                    Stage::Over
                }
            }
            Stage::Table | Stage::Tables if is_elsewhere(word) => {
                return Err("a table that is not in the database");
            }
            Stage::Table | Stage::Tables | Stage::Rows | Stage::Set | Stage::Sequence if word == b"SELECT" => {
                return Err("a query");
            }
            Stage::Set => {
                set(word)?;
                Stage::Set
            }
            Stage::Body if word == b"SONAME" => return Err("a library"),
            Stage::Call if word == b"SETVAL" => Stage::Sequence,
            Stage::Call | Stage::Fixed(_) | Stage::Over => return Err(NOT_OF_A_DUMP),
            stage => stage,
        };
        Ok(())
    }

    fn start(&mut self, word: &[u8]) -> Result<Stage, &'static str> {
        self.texts.clear();
        Ok(match word {
            b"INSERT" | b"REPLACE" => Stage::Insert,
            b"CREATE" => Stage::Create,
            b"DROP" => Stage::Drop,
            b"ALTER" => Stage::Alter,
            b"LOCK" | b"UNLOCK" => Stage::Fixed("TABLES"),
            b"START" => Stage::Fixed("TRANSACTION"),
            b"COMMIT" => Stage::Over,
            b"SET" => Stage::Set,
            b"SELECT" | b"DO" => Stage::Call,
            _ => return Err(NOT_OF_A_DUMP),
        })
    }

    /// A name in quotes, or a part of one that has quotes in it.
    pub(super) fn name(&mut self, name: &[u8]) -> Allowed {
        self.require_place(false)?;
        let taken = match self.stage {
            Stage::Start | Stage::Call | Stage::Fixed(_) | Stage::Over => Err(NOT_OF_A_DUMP),
            _ => self.named(name),
        };
        (self.after_word, self.after_name) = (false, true);
        taken
    }

    fn named(&mut self, name: &[u8]) -> Allowed {
        match self.stage {
            // A doubled quote: the name goes on.
            Stage::Columns | Stage::Table if self.name.is_some() && self.after_name && !self.after_word => {
                if let Some(known) = &mut self.name {
                    known.push(b'`');
                    known.extend_from_slice(name);
                }
            }
            Stage::Insert => {
                self.name = Some(name.to_vec());
                self.stage = Stage::Columns;
            }
            Stage::Named(Made::Table) => {
                self.name = Some(name.to_vec());
                self.stage = Stage::Table;
            }
            Stage::Named(made) => {
                if made == Made::Trigger {
                    self.table = None;
                }
                self.stage = Stage::Body;
                self.name = Some(Vec::new());
            }
            _ => {}
        }
        Ok(())
    }

    /// What was made, or what rows are for, is known as a whole.
    fn end_name(&mut self) -> Allowed {
        let Some(name) = self.name.take() else { return Ok(()) };
        match self.stage {
            Stage::Columns | Stage::Rows if self.table.as_ref() != Some(&name) => {
                Err("rows for another table than the one that was made last, or for one with a trigger")
            }
            Stage::Table => {
                self.table = Some(name);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A string begins.
    pub(super) fn string(&mut self) -> Allowed {
        self.require_place(false)?;
        (self.after_word, self.after_name) = (false, false);
        self.end_name()?;
        match self.stage {
            Stage::Start | Stage::Call | Stage::Fixed(_) | Stage::Over | Stage::Insert | Stage::Columns => {
                Err(NOT_OF_A_DUMP)
            }
            _ => Ok(()),
        }
    }

    /// A byte of a string.
    pub(super) fn text(&mut self, byte: u8) -> Allowed {
        if self.stage == Stage::Set {
            if self.texts.len() == 4096 {
                return Err("a setting that is too long");
            }
            self.texts.push(byte.to_ascii_uppercase());
        }
        Ok(())
    }

    pub(super) fn symbol(&mut self, symbol: u8) -> Allowed {
        self.require_place(false)?;
        let (after_word, after_name) = (self.after_word, self.after_name);
        (self.after_word, self.after_name) = (false, false);
        let is_named = self.name.is_some() && after_name;
        let taken = match (self.stage, symbol) {
            (Stage::Body | Stage::Create, b'.') if is_named => Err(OTHER_DATABASE),
            (Stage::Columns | Stage::Table, b'.') if is_named => Err(OTHER_DATABASE),
            (Stage::Tables | Stage::Sequence | Stage::Insert, b'.') if after_name => Err(OTHER_DATABASE),
            (Stage::Rows, b'(') if after_word => Err(CALL),
            (Stage::Set, b'(') => Err(CALL),
            (Stage::Start | Stage::Insert | Stage::Drop | Stage::Alter | Stage::Fixed(_) | Stage::Over, _) => {
                Err(NOT_OF_A_DUMP)
            }
            (Stage::Call, _) => Err(NOT_OF_A_DUMP),
            _ => Ok(()),
        };
        taken.and_then(|()| self.end_name())
    }

    /// The statement is over.
    pub(super) fn end(&mut self) -> Allowed {
        self.end_name()?;
        // One that is not over yet ends in the next statement: then some servers see another statement than this.
        if self.is_uncertain() {
            return Err(UNCERTAIN);
        }
        if self.comment == Comment::After {
            self.comment = Comment::None;
        }
        (self.after_word, self.after_name) = (false, false);
        self.is_ambiguous |= self.texts.windows(9).any(|text| text == b"BACKSLASH");
        self.texts.clear();
        match std::mem::take(&mut self.stage) {
            Stage::Columns | Stage::Insert => Err("rows that are not written out"),
            _ => Ok(()),
        }
    }
}

/// What comes after `CREATE`.
fn created(word: &[u8]) -> Result<Stage, &'static str> {
    Ok(match word {
        b"TABLE" => Stage::Named(Made::Table),
        b"TRIGGER" => Stage::Named(Made::Trigger),
        b"VIEW" | b"PROCEDURE" | b"FUNCTION" | b"EVENT" | b"SEQUENCE" | b"PACKAGE" => Stage::Named(Made::Other),
        b"USER" | b"ROLE" | b"DATABASE" | b"SCHEMA" | b"SERVER" | b"TABLESPACE" | b"LOGFILE" | b"UNDO" => {
            return Err(NOT_OF_A_DUMP);
        }
        _ => Stage::Create,
    })
}

/// True for words that put a table somewhere else.
fn is_elsewhere(word: &[u8]) -> bool {
    ENGINES.contains(&word) || matches!(word, b"DIRECTORY" | b"UNION" | b"CONNECTION" | b"LOAD_FILE")
}

/// Settings are of the session, and what they say is written out.
fn set(word: &[u8]) -> Allowed {
    let plain = word.iter().position(|byte| *byte != b'@').map_or(&[][..], |start| &word[start..]);
    match plain {
        b"GLOBAL" | b"PERSIST" | b"PERSIST_ONLY" => Err("a setting of the whole server"),
        b"PASSWORD" | b"ROLE" | b"STATEMENT" | b"AUTHORIZATION" | b"RESOURCE" => Err(NOT_OF_A_DUMP),
        _ if word.first().is_some_and(u8::is_ascii_digit) && !matches!(word, b"0" | b"1") => {
            Err("a setting whose meaning is not written out")
        }
        _ => Ok(()),
    }
}

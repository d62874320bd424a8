//! Statements, token by token: which table's rows come, and under which name.

use super::Fault;
use super::rows::Rows;
use super::tables::{TableName, Tables, checked};

/// What the lexer gives on. Comments, and what is in conditional ones, it keeps to itself: there, the tools put settings,
/// views and stand-ins for views.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    /// A keyword, a number or a name without quotes.
    Word(&'a [u8]),
    /// A quoted name, without its quotes.
    Name(&'a [u8]),
    /// A string.
    Text,
    /// Any other character.
    Symbol(u8),
}

/// Where in a statement the next token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// Before its first word.
    #[default]
    Start,
    /// After `INSERT` or `REPLACE`.
    Insert,
    /// At the name of the table to insert into.
    Target,
    /// After that name.
    AfterTarget,
    /// In the list of columns, so many parentheses deep.
    Columns(u32),
    /// After `VALUES`.
    Rows,
    /// After `CREATE`.
    Create,
    /// At the name of a table that is created.
    NewTable,
    /// After that name.
    AfterNewTable,
    /// After `USE`.
    Use,
    /// After `DELIMITER`; the lexer reads the rest of this line.
    Delimiter,
    /// In a part that says nothing about rows.
    Rest,
}

/// Reads statements and counts rows.
#[derive(Debug, Default)]
pub(super) struct Statements {
    stage: Stage,
    begun: bool,
    database: Option<Vec<u8>>,
    name: TableName,
    pub(super) rows: Rows,
    pub(super) tables: Tables,
}

impl Statements {
    /// True if the next word or name means something here.
    pub(super) fn listens(&self) -> bool {
        !matches!(self.stage, Stage::Rest | Stage::Rows | Stage::Columns(_))
    }

    /// True between two statements.
    pub(super) fn is_between(&self) -> bool {
        self.stage == Stage::Start
    }

    /// True if there was a statement.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// True in the list of rows.
    pub(super) fn in_rows(&self) -> bool {
        self.stage == Stage::Rows
    }

    /// True after the word `DELIMITER`.
    pub(super) fn at_delimiter(&self) -> bool {
        self.stage == Stage::Delimiter
    }

    /// The table whose rows are being read.
    pub(super) fn table(&self) -> String {
        String::from_utf8_lossy(&self.name.table).into_owned()
    }

    /// A statement begins as the last one did: its rows come next.
    pub(super) fn repeat(&mut self) {
        self.rows = Rows::default();
        self.stage = Stage::Rows;
    }

    /// The line after `DELIMITER` is over.
    pub(super) fn end_delimiter(&mut self) {
        self.stage = Stage::Start;
    }

    /// The list of rows is over, the statement is not: `ON DUPLICATE KEY UPDATE` follows.
    pub(super) fn end_rows(&mut self) -> Result<(), Fault> {
        self.stage = Stage::Rest;
        self.tables.add(&self.name, self.rows.take()?)
    }

    pub(super) fn take(&mut self, token: Token<'_>) -> Result<(), Fault> {
        if let Token::Symbol(b';') = token {
            return self.end();
        }
        self.stage = match self.stage {
            Stage::Start => self.start(token)?,
            Stage::Insert => self.insert(token)?,
            Stage::Target => self.target(token)?,
            Stage::AfterTarget => self.after_target(token)?,
            Stage::Columns(depth) => columns(depth, token),
            Stage::Rows => return self.rows.take_token(token),
            Stage::Create => create(token),
            Stage::NewTable => self.new_table(token)?,
            Stage::AfterNewTable => self.after_new_table(token)?,
            Stage::Use => self.select(token)?,
            Stage::Delimiter => return Err(Fault::Malformed),
            Stage::Rest => Stage::Rest,
        };
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        match self.stage {
            Stage::Rows => self.end_rows()?,
            Stage::AfterNewTable => self.tables.add(&self.name, 0)?,
            Stage::Start | Stage::Create | Stage::Rest => {}
            _ => return Err(Fault::Malformed),
        }
        self.stage = Stage::Start;
        Ok(())
    }

    fn start(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        let Token::Word(word) = token else { return Err(Fault::Malformed) };
        self.begun = true;
        self.name.database.clone_from(&self.database);
        Ok(match &word.to_ascii_uppercase()[..] {
            b"INSERT" | b"REPLACE" => Stage::Insert,
            b"CREATE" => Stage::Create,
            b"USE" => Stage::Use,
            b"DELIMITER" => Stage::Delimiter,
            [b'A'..=b'Z', ..] => Stage::Rest,
            _ => return Err(Fault::Malformed),
        })
    }

    fn insert(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        match token {
            Token::Word(word) if is(word, "INTO") => Ok(Stage::Target),
            Token::Word(word) if is_any(word, &["IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED"]) => {
                Ok(Stage::Insert)
            }
            _ => self.target(token),
        }
    }

    fn target(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        self.name.table = name(token)?;
        Ok(Stage::AfterTarget)
    }

    fn after_target(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        match token {
            Token::Symbol(b'.') => {
                self.qualify();
                Ok(Stage::Target)
            }
            Token::Symbol(b'(') => Ok(Stage::Columns(1)),
            Token::Word(word) if is_any(word, &["VALUES", "VALUE"]) => {
                self.repeat();
                Ok(Stage::Rows)
            }
            // INSERT ... SELECT, INSERT ... SET: what the tools do not use for the rows of a table.
            Token::Word(_) => Ok(Stage::Rest),
            _ => Err(Fault::Malformed),
        }
    }

    fn new_table(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        match token {
            Token::Word(word) if is_any(word, &["IF", "NOT", "EXISTS"]) => Ok(Stage::NewTable),
            _ => {
                self.name.table = name(token)?;
                Ok(Stage::AfterNewTable)
            }
        }
    }

    fn after_new_table(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        if let Token::Symbol(b'.') = token {
            self.qualify();
            return Ok(Stage::NewTable);
        }
        self.tables.add(&self.name, 0)?;
        Ok(Stage::Rest)
    }

    fn select(&mut self, token: Token<'_>) -> Result<Stage, Fault> {
        self.database = Some(name(token)?);
        Ok(Stage::Rest)
    }

    /// What looked like the table's name was that of its database.
    fn qualify(&mut self) {
        self.name.database = Some(std::mem::take(&mut self.name.table));
    }
}

fn columns(depth: u32, token: Token<'_>) -> Stage {
    match token {
        Token::Symbol(b'(') => Stage::Columns(depth.saturating_add(1)),
        Token::Symbol(b')') if depth == 1 => Stage::AfterTarget,
        Token::Symbol(b')') => Stage::Columns(depth - 1),
        _ => Stage::Columns(depth),
    }
}

fn create(token: Token<'_>) -> Stage {
    match token {
        Token::Word(word) if is_any(word, &["OR", "REPLACE", "TEMPORARY"]) => Stage::Create,
        Token::Word(word) if is(word, "TABLE") => Stage::NewTable,
        _ => Stage::Rest,
    }
}

fn name(token: Token<'_>) -> Result<Vec<u8>, Fault> {
    match token {
        Token::Word(name) | Token::Name(name) => checked(name),
        Token::Text | Token::Symbol(_) => Err(Fault::Malformed),
    }
}

fn is(word: &[u8], keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword.as_bytes())
}

fn is_any(word: &[u8], keywords: &[&str]) -> bool {
    keywords.iter().any(|keyword| is(word, keyword))
}

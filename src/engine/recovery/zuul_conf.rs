//! Values in `zuul.conf`, which the operator renders from Secrets, and Zuul reads at its start.

/// The file with another value for a key of a section; nothing if it has no such key, or that value already.
pub(super) fn with_value(conf: &str, section: &str, key: &str, value: &str) -> Option<String> {
    let (mut inside, mut changed) = (false, false);
    let mut lines = Vec::new();
    for line in conf.split('\n') {
        if let Some(name) = line.trim().strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name == section;
        }
        let found = inside.then(|| line.split_once('=')).flatten().filter(|(name, _)| name.trim() == key);
        match found {
            Some((name, old)) if old.trim() != value => {
                let space = if old.starts_with(' ') { " " } else { "" };
                lines.push(format!("{name}={space}{value}"));
                changed = true;
            }
            _ => lines.push(line.to_owned()),
        }
    }
    changed.then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::with_value;

    #[test]
    fn only_the_value_of_that_section_changes() {
        let conf = "[zookeeper]\npassword=a\n\n[keystore]\npassword = old\n[auth x]\nsecret=s\n";
        let new = "[zookeeper]\npassword=a\n\n[keystore]\npassword = new\n[auth x]\nsecret=s\n";
        assert_eq!(with_value(conf, "keystore", "password", "new").as_deref(), Some(new));
        assert_eq!(with_value(new, "keystore", "password", "new"), None);
        assert_eq!(with_value(conf, "database", "dburi", "x"), None);
        assert_eq!(with_value("", "keystore", "password", "x"), None);
    }
}

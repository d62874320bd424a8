//! Profiles of Amazon's tools: `~/.aws/credentials` and `~/.aws/config`, or the files that `$AWS_SHARED_CREDENTIALS_FILE`
//! and `$AWS_CONFIG_FILE` name, of the profile that `$AWS_PROFILE` names, or of `default`.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>
//!
//! Read are keys, session token, region and endpoint. Roles to assume, single sign-on and credential processes are not:
//! whoever needs them gives keys, a web identity or an instance's identity.

use std::collections::BTreeMap;
use std::path::PathBuf;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};

/// Settings of a profile.
type Settings = BTreeMap<String, String>;

/// Settings that the environment does not give otherwise, of this profile or of that which the environment names. Fails
/// if a profile is named that is nowhere.
pub(super) fn apply(mut builder: AmazonS3Builder, named: Option<&str>) -> Result<AmazonS3Builder, object_store::Error> {
    let is_said = |builder: &AmazonS3Builder, key: Key| builder.get_config_value(&key).is_some_and(|v| !v.is_empty());
    let settings = settings(named)?;
    let keyed = ["aws_access_key_id", "aws_secret_access_key"].iter().all(|name| settings.contains_key(*name));
    let identified = named.is_none() && std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
    if keyed && !identified && !is_said(&builder, Key::AccessKeyId) {
        let credentials = [
            (Key::AccessKeyId, "aws_access_key_id"),
            (Key::SecretAccessKey, "aws_secret_access_key"),
            (Key::Token, "aws_session_token"),
        ];
        for (key, name) in credentials {
            if let Some(value) = settings.get(name) {
                builder = builder.with_config(key, value);
            }
        }
    }
    let is_default_region_said = named.is_none() && std::env::var_os("AWS_DEFAULT_REGION").is_some();
    let has_region = is_said(&builder, Key::Region) || is_default_region_said;
    let has_endpoint = is_said(&builder, Key::Endpoint) || is_said(&builder, Key::S3Endpoint);
    for (key, name, is_said) in [(Key::Region, "region", has_region), (Key::Endpoint, "endpoint_url", has_endpoint)] {
        if let (false, Some(value)) = (is_said, settings.get(name)) {
            builder = builder.with_config(key, value);
        }
    }
    Ok(builder)
}

fn settings(named: Option<&str>) -> Result<Settings, object_store::Error> {
    let by_environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    let named = named.map(str::to_owned).or_else(by_environment);
    let profile = named.as_deref().unwrap_or("default");
    let read = |variable: &str, name: &str| {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws").join(name));
        let path = std::env::var_os(variable).map(PathBuf::from).or_else(home);
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let config = section(&read("AWS_CONFIG_FILE", "config"), profile, true);
    let credentials = section(&read("AWS_SHARED_CREDENTIALS_FILE", "credentials"), profile, false);
    if named.is_some() && config.is_none() && credentials.is_none() {
        let why = format!("the profile `{profile}` is named, and neither file of profiles has it");
        return Err(object_store::Error::Generic { store: "S3", source: why.into() });
    }
    let mut settings = config.unwrap_or_default();
    settings.extend(credentials.unwrap_or_default());
    Ok(settings)
}

/// Settings of a profile; nothing if the file does not have it. In the file `config` other profiles than `default` are
/// headed by `[profile NAME]`.
fn section(text: &str, profile: &str, is_config: bool) -> Option<Settings> {
    let mut found: Option<Settings> = None;
    let mut is_inside = false;
    for line in text.lines() {
        // What is indented belongs to a setting that has settings.
        if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(head) = line.trim().strip_prefix('[').and_then(|line| line.split_once(']')) {
            let head = head.0.trim();
            let name = if is_config && head != "default" {
                head.strip_prefix("profile").filter(|name| name.starts_with([' ', '\t'])).map(str::trim)
            } else {
                Some(head)
            };
            is_inside = name == Some(profile);
            if is_inside {
                found.get_or_insert_default();
            }
        } else if let (true, Some((name, value))) = (is_inside, line.split_once('=')) {
            // A remark may follow a value, after white space.
            let value = value.split(" #").next().and_then(|value| value.split(" ;").next()).unwrap_or_default();
            found.get_or_insert_default().insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
# a remark
[default]
region = eu-central-1   # here
s3 =
  addressing_style = path
[profile backup]
region=us-west-2
endpoint_url = https://store.example
[backup]
region = wrong
";

    #[test]
    fn a_profile_is_found_under_its_heading() {
        let default = section(CONFIG, "default", true).expect("there");
        assert_eq!(default["region"], "eu-central-1");
        assert!(!default.contains_key("addressing_style"));
        let backup = section(CONFIG, "backup", true).expect("there");
        assert_eq!((&backup["region"][..], &backup["endpoint_url"][..]), ("us-west-2", "https://store.example"));
        assert_eq!(section(CONFIG, "other", true), None);
        let plain = section("[backup]\naws_access_key_id = test-only\n", "backup", false).expect("there");
        assert_eq!(plain["aws_access_key_id"], "test-only");
    }
}

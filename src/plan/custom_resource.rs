//! What a SoftwareFactory custom resource says that decides what there is to take.
//!
//! The file is read with all its keys in lower case: so the owner `ConfigMap` of the deployment, whose keys are the
//! lower-cased names of the fields, is read by the same code. It has no sizes and no limits, but the names are right.

use std::path::Path;

use serde_json::Value;

use super::PlanError;

/// Longest file in bytes: the API server takes no longer one either.
const MOST: u64 = 3 << 20;

/// Paths to the names of user Secrets, with what they are for.
const SECRETS: [(&str, &str, &str); 7] = [
    ("gerritconns", "sshkey", "a Gerrit connection's SSH key"),
    ("gerritconns", "password", "a Gerrit connection's HTTP password"),
    ("githubconns", "secrets", "a GitHub connection"),
    ("gitlabconns", "secrets", "a GitLab connection"),
    ("pagureconns", "secrets", "a Pagure connection"),
    ("elasticsearchconns", "basicauthsecret", "an Elasticsearch connection"),
    ("smtpconns", "secrets", "an SMTP connection"),
];

/// A custom resource, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomResource {
    /// The file as it is; nothing if this is what the cluster remembers of it.
    pub file: Option<Vec<u8>>,
    /// Secrets that it names, and what for; each once.
    pub secrets: Vec<(String, &'static str)>,
    /// `ConfigMap`s that it names.
    pub config_maps: Vec<String>,
    /// The namespace holds an executor of a deployment elsewhere, and nothing else.
    pub standalone_executor: bool,
    /// The domain of the deployment.
    pub fqdn: String,
}

impl CustomResource {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let failed = |source| PlanError::Read { path: path.display().to_string(), source };
        let wrong = |why: String| PlanError::File { path: path.display().to_string(), why };
        if std::fs::metadata(path).map_err(failed)?.len() > MOST {
            return Err(wrong("it is too long for a custom resource".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        // No line of the file is quoted: passwords may be in it.
        let quiet = serde_saphyr::options! { with_snippet: false };
        let value: Value =
            serde_saphyr::from_str_with_options(text, quiet).map_err(|error| wrong(error.to_string()))?;
        if value["kind"] != "SoftwareFactory" {
            return Err(wrong("it is not a SoftwareFactory: `kind` says something else".to_owned()));
        }
        Ok(Self { file: Some(bytes), ..Self::of_spec(&lower(&value)["spec"]) })
    }

    /// Reads the spec that the owner of a deployment remembers. Nothing if it cannot be understood.
    pub fn remembered(spec: &str) -> Option<Self> {
        let value: Value = serde_saphyr::from_str(spec).ok()?;
        Some(Self::of_spec(&lower(&value)))
    }

    fn of_spec(spec: &Value) -> Self {
        let zuul = &spec["zuul"];
        let mut secrets: Vec<(String, &'static str)> = Vec::new();
        for (connections, field, what_for) in SECRETS {
            for name in texts(&zuul[connections], field) {
                if !secrets.iter().any(|(known, _)| *known == name) {
                    secrets.push((name, what_for));
                }
            }
        }
        let gateway = &spec["gateway"];
        let config_maps =
            ["extraconfigurationconfigmap", "extrastaticfilesconfigmap"].map(|field| text(&gateway[field]));
        Self {
            file: None,
            secrets,
            config_maps: config_maps.into_iter().flatten().collect(),
            standalone_executor: zuul["executor"]["standalone"].as_object().is_some_and(|fields| !fields.is_empty()),
            fqdn: text(&spec["fqdn"]).unwrap_or_default(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts<'a>(list: &'a Value, field: &'a str) -> impl Iterator<Item = String> + 'a {
    list.as_array().into_iter().flatten().filter_map(move |item| text(&item[field]))
}

fn lower(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.to_lowercase(), lower(value))).collect(),
        Value::Array(items) => items.iter().map(lower).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CR: &str = "
kind: SoftwareFactory
spec:
  fqdn: sfop.example
  gateway: {extraConfigurationConfigMap: httpd-extra}
  zuul:
    gerritconns: [{name: a, sshkey: gerrit-ssh, password: gerrit-http}, {name: b, sshkey: gerrit-ssh}]
    githubconns: [{name: c, secrets: github-conn}]
    gitlabconns: [{name: d, secrets: gitlab-conn}]
    pagureconns: [{name: e, secrets: pagure-conn}]
    gitconns: [{name: f, baseurl: 'https://git.example'}]
    elasticsearchconns: [{name: g, uri: 'https://es.example', basicAuthSecret: es-auth}]
    smtpconns: [{name: h, secrets: smtp-secret}]
";

    #[test]
    fn what_is_in_a_broken_file_is_not_quoted() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        for broken in [
            "spec: {smtp: {password: not-a-real-password}",
            "a:\n  - password: not-a-real-password\n b: ]\n",
            "password: *not-a-real-password",
        ] {
            std::fs::write(file.path(), broken).expect("written");
            let error = CustomResource::read(file.path()).expect_err("it is broken").to_string();
            assert!(!error.contains("real-password"), "{error}");
            assert!(error.contains("line"), "it says where: {error}");
        }
    }

    #[test]
    fn every_connection_names_its_secrets_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("cr.yaml");
        std::fs::write(&path, CR).expect("written");
        let found = CustomResource::read(&path).expect("readable");
        let names: Vec<&str> = found.secrets.iter().map(|(name, _)| &name[..]).collect();
        let expected =
            ["gerrit-ssh", "gerrit-http", "github-conn", "gitlab-conn", "pagure-conn", "es-auth", "smtp-secret"];
        assert_eq!(names, expected);
        assert_eq!((found.config_maps, &found.fqdn[..]), (vec!["httpd-extra".to_owned()], "sfop.example"));
        assert_eq!(found.file.as_deref(), Some(CR.as_bytes()));
    }

    #[test]
    fn what_the_owner_remembers_is_understood() {
        let spec = "fqdn: x\nzuul:\n  elasticsearchconns: [{basicauthsecret: es}]\n  executor: {standalone: null}\ngateway: {extraconfigurationconfigmap: ''}\n";
        let found = CustomResource::remembered(spec).expect("understood");
        assert_eq!(found.secrets, [("es".to_owned(), "an Elasticsearch connection")]);
        assert!(found.config_maps.is_empty() && !found.standalone_executor);
        assert_eq!(CustomResource::remembered("{"), None);
    }

    #[test]
    fn other_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for (text, says) in [("kind: Pod\n", "not a SoftwareFactory"), ("a: [", "cr.yaml"), ("\u{0}", "cr.yaml")] {
            let path = folder.path().join("cr.yaml");
            std::fs::write(&path, text).expect("written");
            let error = CustomResource::read(&path).expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

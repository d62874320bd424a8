//! Jobs run their command to its end.

use serde_json::{Value, json};

use super::pods::{PODS, cluster, spec, wait};
use super::rest::{ask, client};

const JOBS: &str = "/apis/batch/v1/namespaces/sf/jobs";

fn job(name: &str, command: &[&str]) -> Value {
    let template = json!({ "metadata": { "labels": { "run": name } }, "spec": spec(command, "Never") });
    json!({ "metadata": { "name": name }, "spec": { "backoffLimit": 1, "template": template } })
}

fn condition(job: &Value) -> String {
    let condition = &job["status"]["conditions"][0];
    format!("{}: {}", condition["type"].as_str().unwrap_or(""), condition["reason"].as_str().unwrap_or(""))
}

fn has_ended(job: &Value) -> bool {
    job["status"]["conditions"].is_array()
}

#[tokio::test]
async fn a_job_succeeds_with_its_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ran");
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let script = format!("tool > {}", file.display());
    assert_eq!(ask(&client, "POST", JOBS, &job("provision", &["sh", "-c", &script])).await.code, 201);
    let path = format!("{JOBS}/provision");
    let ended = wait(&client, &path, has_ended).await;
    assert_eq!(
        (condition(&ended).as_str(), &ended["status"]["succeeded"]),
        ("Complete: CompletionsReached", &json!(1))
    );
    assert_eq!(std::fs::read_to_string(file).unwrap(), "image pod placeholder\n");
    let pods = format!("{PODS}?labelSelector=job-name%3Dprovision,run%3Dprovision");
    let count = |list: &Value| list["items"].as_array().unwrap().len();
    assert_eq!(count(&ask(&client, "GET", &pods, &Value::Null).await.body), 1);
    assert_eq!(ask(&client, "DELETE", &path, &Value::Null).await.code, 200);
    wait(&client, &pods, |list| count(list) == 0).await;
}

#[tokio::test]
async fn a_job_fails_once_it_was_tried_often_enough() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    ask(&client, "POST", JOBS, &job("broken", &["false"])).await;
    let ended = wait(&client, &format!("{JOBS}/broken"), has_ended).await;
    assert_eq!((condition(&ended).as_str(), &ended["status"]["failed"]), ("Failed: BackoffLimitExceeded", &json!(2)));
    assert_eq!(ended["status"].get("succeeded"), None);
}

#[tokio::test]
async fn a_job_has_a_deadline() {
    let cluster = cluster();
    let client = client(&cluster, "admin").await;
    let mut slow = job("slow", &["sleep", "1000"]);
    slow["spec"]["activeDeadlineSeconds"] = json!(1);
    ask(&client, "POST", JOBS, &slow).await;
    let path = format!("{JOBS}/slow");
    let ended = wait(&client, &path, has_ended).await;
    assert_eq!((condition(&ended).as_str(), &ended["status"]["failed"]), ("Failed: DeadlineExceeded", &json!(1)));
    let pods = ask(&client, "GET", PODS, &Value::Null).await.body;
    assert_eq!(pods["items"], json!([]));
}

//! What an account may do, asked by itself.

use serde_json::{Value, json};

use super::ownership::{Author, Ownership};
use super::rbac::{Account, Wish};
use super::state::State;
use super::status::{Reply, Status, json as reply};

pub(super) const API_VERSION: &str = "authorization.k8s.io/v1";

/// `SelfSubjectAccessReview`.
pub(super) fn access(state: &State, account: &Account, manager: &str, body: &Value) -> Result<Reply, Status> {
    let spec = body["spec"].as_object().ok_or_else(|| Status::bad_request("a review needs a spec"))?;
    let allowed = match (spec.get("resourceAttributes"), spec.get("nonResourceAttributes")) {
        (Some(wish), _) => may(account, wish),
        (None, Some(_)) => true,
        (None, None) => return Err(Status::bad_request("a review needs resourceAttributes")),
    };
    let mut review = json!({
        "kind": "SelfSubjectAccessReview",
        "apiVersion": API_VERSION,
        "metadata": { "creationTimestamp": null },
        "spec": spec,
        "status": { "allowed": allowed },
    });
    let author = Author { manager, api_version: API_VERSION, time: state.now() };
    let mut ownership = Ownership::default();
    ownership.update(&author, &json!({}), &review);
    ownership.write(&mut review);
    Ok(reply(201, &review))
}

fn may(account: &Account, wish: &Value) -> bool {
    let text = |name: &str| wish[name].as_str().unwrap_or_default();
    let resource = match text("subresource") {
        "" => text("resource").to_owned(),
        subresource => format!("{}/{subresource}", text("resource")),
    };
    account.may(&Wish {
        verb: text("verb"),
        group: text("group"),
        resource: &resource,
        namespace: text("namespace"),
        name: text("name"),
    })
}

/// `SelfSubjectRulesReview`; the answer does not repeat the question.
pub(super) fn rules(account: &Account, body: &Value) -> Reply {
    let namespace = body["spec"]["namespace"].as_str().unwrap_or_default();
    reply(
        201,
        &json!({
            "kind": "SelfSubjectRulesReview",
            "apiVersion": API_VERSION,
            "metadata": { "creationTimestamp": null },
            "spec": {},
            "status": account.review(namespace),
        }),
    )
}

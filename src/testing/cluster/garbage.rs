//! What belongs to an object goes with it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::state::State;
use super::store::{Change, Key, Store};

/// Removes, a little later, what an object owned that has gone.
pub(super) fn react(state: &Arc<State>, change: &Change) {
    let (Some(old), None) = (&change.old, &change.new) else { return };
    let uid = old["metadata"]["uid"].clone();
    if dependents(&state.store(), &uid).is_empty() {
        return;
    }
    let state = Arc::clone(state);
    tokio::spawn(async move {
        tokio::time::sleep(state.lag).await;
        let keys = abandoned(&state.store(), &uid);
        for key in keys {
            state.remove(&key);
        }
    });
}

/// Takes an object's ownership from all that it owns.
pub(super) fn orphan(state: &State, object: &Value) {
    let uid = &object["metadata"]["uid"];
    let mut store = state.store();
    for (key, mut dependent) in dependents(&store, uid) {
        let others: Vec<Value> = owners(&dependent).filter(|owner| &owner["uid"] != uid).cloned().collect();
        dependent["metadata"]["ownerReferences"] = json!(others);
        store.put(key, dependent);
    }
}

fn dependents(store: &Store, uid: &Value) -> Vec<(Key, Value)> {
    let owned = store.all().filter(|(_, object)| owners(object).any(|owner| &owner["uid"] == uid));
    owned.map(|(key, object)| (key.clone(), object.clone())).collect()
}

/// Those of which no owner is left.
fn abandoned(store: &Store, uid: &Value) -> Vec<Key> {
    let lives = |uid: &Value| store.all().any(|(_, object)| &object["metadata"]["uid"] == uid);
    let found = dependents(store, uid).into_iter();
    found.filter(|(_, object)| !owners(object).any(|owner| lives(&owner["uid"]))).map(|(key, _)| key).collect()
}

fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten()
}

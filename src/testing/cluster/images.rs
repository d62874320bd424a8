//! Which container a pod has under a name: the one that was described for it, or what its image stands for.

use serde_json::Value;

use super::container::Container;
use super::state::State;
use super::store::Key;

/// How commands run in a container of a pod. One that nobody described, neither itself nor its image, gets a bare
/// environment.
pub(super) fn container(state: &State, pod: &Value, name: &str) -> Container {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    let (namespace, pod_name) = (text("namespace"), text("name"));
    let from_image = || {
        let spec = specs(pod).find(|spec| spec["name"] == name)?;
        let template = state.images.get(spec["image"].as_str()?)?.clone().named(name);
        Some(with_variables(state, namespace, spec, template))
    };
    state.described(namespace, pod_name, name).or_else(from_image).unwrap_or_else(|| Container::new(name))
}

/// The first image of a pod that nobody described.
pub(super) fn missing<'a>(state: &State, pod: &'a Value) -> Option<&'a str> {
    let images = specs(pod).map(|spec| spec["image"].as_str().unwrap_or_default());
    images.into_iter().find(|image| !state.images.contains_key(*image))
}

/// The containers of a pod's specification. There are no others: what runs before them is not run.
pub(super) fn specs(pod: &Value) -> impl Iterator<Item = &Value> {
    pod["spec"]["containers"].as_array().into_iter().flatten()
}

/// Adds the variables of a specification: texts, and keys of Secrets and ConfigMaps.
fn with_variables(state: &State, namespace: &str, spec: &Value, mut container: Container) -> Container {
    for variable in spec["env"].as_array().into_iter().flatten() {
        let text = variable["value"].as_str().map(|text| text.as_bytes().to_vec());
        let Some(value) = text.or_else(|| referred(state, namespace, &variable["valueFrom"])) else { continue };
        let name = variable["name"].as_str().unwrap_or_default();
        container = container.env(name, String::from_utf8_lossy(&value).into_owned());
    }
    container
}

fn referred(state: &State, namespace: &str, source: &Value) -> Option<Vec<u8>> {
    let find = |plural: &str, reference: &Value| {
        let store = state.store();
        let object = store.get(&Key::core(plural, namespace, reference["name"].as_str()?))?;
        object["data"].get(reference["key"].as_str()?).cloned()
    };
    if let Some(value) = find("configmaps", &source["configMapKeyRef"]) {
        return value.as_str().map(|text| text.as_bytes().to_vec());
    }
    let bytes: k8s_openapi::ByteString = serde_json::from_value(find("secrets", &source["secretKeyRef"])?).ok()?;
    Some(bytes.0)
}

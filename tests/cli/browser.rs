//! Headless Chromium, driven over the WebDriver protocol (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use serde_json::{Value, json};

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    session: String,
}

impl Browser {
    /// Starts one; nothing if none is installed.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("chromedriver");
        let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut lines = BufReader::new(driver.stdout.take().expect("it is there")).lines().map_while(Result::ok);
        let line = lines.find(|line| line.contains("successfully on port")).expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let port: String = line.chars().filter(char::is_ascii_digit).collect();
        let mut browser = Self { driver, session: format!("http://127.0.0.1:{port}/session") };
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
            "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
            format!("--user-data-dir={}", folder.display()),
        ] });
        let wanted = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let opened = browser.post("", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session += &format!("/{}", opened["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let sent = ureq::post(&format!("{}{path}", self.session)).header("Content-Type", "application/json");
        let answer = sent.send(body.to_string()).expect("the driver answers").into_body().read_to_string();
        let answer: Value = serde_json::from_str(&answer.expect("a text")).expect("JSON");
        answer["value"].clone()
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", &json!({ "width": width, "height": height }));
    }

    /// The value of an expression in the page.
    pub(crate) fn eval(&self, expression: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return {expression}"), "args": [] }))
    }

    /// What the page and the browser have complained about.
    pub(crate) fn complaints(&self) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": "browser" })).as_array().cloned().unwrap_or_default()
    }

    /// What is to be seen, as a PNG.
    pub(crate) fn picture(&self, path: &Path) {
        let answer = ureq::get(&format!("{}/screenshot", self.session)).call().expect("the driver answers");
        let answer: Value = serde_json::from_str(&answer.into_body().read_to_string().expect("a text")).expect("JSON");
        let text = answer["value"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        std::fs::write(path, bytes).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser with the session; it may be gone already.
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

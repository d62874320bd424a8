//! The page for people, as a browser shows it.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::looped::{Loop, get};
use crate::repo::Repo;

/// Two targets of this machine: one that goes well, and one that fails with words that are no markup.
fn file(repo: &Repo) {
    let target = |name: &str, command: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nevery = \"1s\"\n\
             [[target.stream]]\nname = \"s\"\nhere = true\ncommand = \"{command}\"\n"
        )
    };
    let bad = "echo '<script>document.title = 1</script><b id=injected>' >&2; exit 3";
    let text = [target("good", "date +%N; seq 1 1000"), target("bad", bad)].concat();
    repo.write("sfarc.toml", text.as_bytes());
}

#[test]
fn a_browser_shows_what_is_known() {
    let repo = Repo::new();
    file(&repo);
    let mut looped = Loop::start(repo.command(["run", "--listen", "127.0.0.1:0", "--page"]));
    let address = looped.address();
    looped.says("error   bad: ");
    looped.says("check: ");
    for _ in 0..3 {
        looped.says("good: snapshot ");
    }
    assert!(get(&address, "/").1.contains("&lt;script&gt;"), "{}", get(&address, "/").1);
    let Some(browser) = Browser::start() else {
        println!("no chromedriver is installed, so no browser shows the page");
        return;
    };
    browser.open(&format!("http://{address}/"));
    assert_eq!(browser.eval("document.title"), "sfarc", "a text was taken for a script");
    assert_eq!(browser.eval("document.querySelector('#injected')"), Value::Null);
    assert_eq!(browser.eval("document.querySelectorAll('p.warning').length"), 1);
    assert_eq!(
        browser.eval("[...document.querySelectorAll('h2')].map(h => h.textContent.split(' of ')[0])"),
        json!(["Targets", "Last snapshot", "Upkeep", "Repository"])
    );
    let bars = "[...document.querySelectorAll('svg[aria-label=runs]')].map(svg => svg.querySelectorAll('rect').length)";
    assert_eq!(browser.eval(bars), json!([48, 48]), "a bar for each of the last 48 runs");
    let colour = |class: &str| browser.eval(&format!("getComputedStyle(document.querySelector('rect.{class}')).fill"));
    assert_ne!(colour("good"), colour("failed"));
    assert_eq!(browser.eval("performance.getEntriesByType('resource').length"), 0, "it asks for nothing else");
    for (width, height) in [(1280, 900), (500, 900)] {
        browser.resize(width, height);
        let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
        assert_eq!(browser.eval(fits), true, "it is wider than {width}");
        let seen = "[...document.querySelectorAll('svg[aria-label=runs]')].every(svg => {
            const [bar, box] = [svg.lastElementChild, svg].map(one => one.getBoundingClientRect());
            return box.left < bar.left && bar.right <= box.right + 1 && Math.abs(bar.bottom - box.bottom) < 2;
        })";
        assert_eq!(browser.eval(seen), true, "the newest run is not to be seen");
        let picture = repo.at(format!("page-{width}.png"));
        browser.picture(&picture);
        if let Some(folder) = std::env::var_os("SFARC_PICTURES") {
            std::fs::copy(&picture, std::path::Path::new(&folder).join(format!("page-{width}.png"))).expect("copied");
        }
    }
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    assert_eq!(looped.end().0, 0);
}

//! The loop: what it does when it is due, what it says, and how it ends.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::json::assert_documented;
use crate::looped::{Loop, command, config, get, run};
use crate::repo::Repo;
use crate::site::Site;

#[test]
fn once_takes_every_target_keeps_what_the_rules_say_and_leaves_its_figures() {
    let site = Site::start();
    // Upkeep is due each time, and the clock of the test does not stand still.
    config(&site, "[upkeep]\nprune-every = \"1s\"");
    for _ in 0..4 {
        run(&site, &["run", "--once"]).ok().says("snapshot ").says("prune: forgot ");
        std::thread::sleep(Duration::from_secs(1));
    }
    let listed = site.repo.run(["list", "--label", "target=sf", "--json"]).ok().json();
    assert_eq!(listed.len(), 3, "the rules keep three");
    let checks = site.repo.run(["list", "--tag", "check", "--json"]).ok().json();
    assert_eq!(checks.len(), 1, "the upkeep was due once");
    let figures = std::fs::read_to_string(site.repo.at("sfarc.prom")).expect("written");
    for line in
        ["sfarc_last_run_ok{target=\"sf\"} 1", "sfarc_snapshots{target=\"sf\"} 3", "sfarc_runs_total{target=\"sf\"} 4"]
    {
        assert!(figures.contains(line), "{line}: {figures}");
    }
    let status = run(&site, &["status"]).ok();
    status.says("▁").says("every byte was read: within").says("protected");
    assert_documented("status", &run(&site, &["status", "--json"]).ok().object());
    site.repo.check();
}

#[test]
fn a_failure_is_said_once_and_recovered_from_without_a_restart() {
    let site = Site::start();
    config(&site, "every = \"1s\"");
    let mut looped = Loop::start(command(&site, &["run", "--listen", "127.0.0.1:0"]));
    let address = looped.address();
    looped.says("snapshot ");
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/readyz").0, 200);
    // The API server is gone.
    site.factory.cluster.stop_after(0);
    looped.says(" error   sf: ");
    assert!(get(&address, "/metrics").1.contains("sfarc_last_run_ok{target=\"sf\"} 0"));
    assert_eq!(get(&address, "/healthz").0, 200, "nothing that a restart would mend");
    std::thread::sleep(Duration::from_secs(4));
    site.factory.cluster.answer_again();
    looped.says("snapshot ");
    let errors = looped.seen.iter().filter(|line| line.contains(" error ")).count();
    assert_eq!(errors, 1, "{:#?}", looped.seen);
    // The repository is gone.
    let (here, away) = (site.repo.path(), site.repo.at("away"));
    std::fs::rename(&here, &away).expect("moved");
    looped.says(" error   sf: ");
    std::fs::rename(&away, &here).expect("moved back");
    looped.says("snapshot ");
    let (code, _) = looped.end();
    assert_eq!(code, 0);
    site.repo.check();
}

#[test]
fn signals_end_it_in_time_and_let_it_read_its_file_again() {
    let site = Site::start();
    let path = config(&site, "every = \"1h\"");
    let mut looped = Loop::start(command(&site, &["run", "--log", "json", "--grace", "2"]));
    looped.says("\"of\":\"sf\"");
    std::fs::write(&path, "every = \"soon\"\n").expect("written");
    looped.signal("-HUP");
    looped.says("the configuration is as it was");
    config(&site, "every = \"1s\"");
    looped.signal("-HUP");
    looped.says("read again");
    looped.says("\"of\":\"sf\"");
    let (code, seen) = looped.end();
    assert_eq!(code, 0);
    assert!(seen.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{seen:#?}");
    // A run that does not end is abandoned.
    config(&site, "every = \"1h\"\n[hooks]\nbefore = \"sleep 300\"");
    let site_before = site.repo.ids().len();
    let mut looped = Loop::start(command(&site, &["run", "--grace", "1", "--listen", "127.0.0.1:0"]));
    looped.address();
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    let (code, _) = looped.end();
    assert!(code == 0 && began.elapsed() < Duration::from_secs(15), "{code} after {:?}", began.elapsed());
    assert_eq!(site.repo.ids().len(), site_before);
    site.repo.check();
}

#[test]
fn hooks_surround_a_run_and_know_what_came_of_it() {
    let site = Site::start();
    let log = site.repo.at("hooks.log");
    let hooks = format!(
        "[hooks]\nbefore = \"echo before $SFARC_TARGET >>{0}\"\nafter = \"echo after $SFARC_OUTCOME ${{SFARC_PASSWORD-none}} >>{0}\"\n\
         on-failure = \"echo failed $SFARC_ERROR >>{0}\"",
        log.display()
    );
    config(&site, &hooks);
    run(&site, &["run", "--once"]).ok();
    assert_eq!(std::fs::read_to_string(&log).expect("written"), "before sf\nafter good none\n");
    let hooks = hooks.replace("echo before $SFARC_TARGET", "exit 3; ");
    config(&site, &hooks);
    std::fs::remove_file(&log).expect("removed");
    run(&site, &["run", "--once"]).ends(1).says("run the hook `before`");
    let text = std::fs::read_to_string(&log).expect("written");
    assert!(text.contains("failed cannot run the hook") && text.contains("after failed"), "{text}");
}

#[test]
fn a_page_shows_what_status_says() {
    let site = Site::start();
    config(&site, "every = \"1h\"");
    let mut looped = Loop::start(command(&site, &["run", "--listen", "127.0.0.1:0"]));
    let address = looped.address();
    looped.says("snapshot ");
    looped.says("check: ");
    let (code, page) = get(&address, "/");
    assert_eq!(code, 200);
    for words in ["All is well", "<td>sf</td>", "class=\"good\"", "database", "p3", "Every byte was read"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(get(&address, "/nothing").0, 404);
    let status: Value = serde_json::from_str(&get(&address, "/status.json").1).expect("JSON");
    assert_eq!(status["targets"]["sf"]["total"], 1);
    assert_eq!(looped.end().0, 0);
}

#[test]
fn a_webhook_hears_of_failures_and_of_their_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook/secret-path", listener.local_addr().expect("an address"));
    let (send, heard) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            while !bytes.ends_with(b"}") {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
            let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
        }
    });
    let site = Site::start();
    let path = config(&site, "every = \"1s\"");
    let text = std::fs::read_to_string(&path).expect("readable");
    std::fs::write(&path, text.replace("[status]", &format!("[status]\nwebhook = \"{url}\""))).expect("written");
    let mut looped = Loop::start(command(&site, &["run"]));
    looped.says("snapshot ");
    site.factory.cluster.stop_after(0);
    let limit = Duration::from_secs(60);
    let first = heard.recv_timeout(limit).expect("a message");
    assert!(first.contains("\"level\":\"error\"") && first.contains("\"of\":\"sf\""), "{first}");
    site.factory.cluster.answer_again();
    let second = heard.recv_timeout(limit).expect("a message");
    assert!(second.contains("good again"), "{second}");
    let (_, seen) = looped.end();
    assert!(!seen.iter().any(|line| line.contains("secret-path")), "{seen:#?}");
}

#[test]
fn a_file_that_cannot_be_meant_is_refused_with_its_line() {
    let repo = Repo::new();
    let target = "[[target]]\nname = \"a\"\nplan = \"software-factory\"\n";
    for (text, words) in [
        ("every = \"soon\"", "no length of time"),
        ("\ncron = \"61 * * * *\"", "line 2: `61 * * * *` is no cron expression"),
        ("cron = \"0 * * * *\"\nevery = \"1h\"", "either `every` or `cron`"),
        ("timezone = \"Mars/Olympus\"", "line 1: `Mars/Olympus` is no time zone"),
        ("parallel = 0", "line 1: `parallel` must be 1"),
        ("[retention]\nkeep-daily = 0", "would keep one snapshot only"),
        ("[upkeep]\nmax-unused = \"half\"", "no share"),
        ("[upkeep]\ncheck-every = \"60d\"\nread-all-within = \"30d\"", "line 3: not every byte"),
        ("[status]\nlisten = \"9808\"", "line 2: `9808` is no address"),
        ("[status]\nwebhook = \"chat.example\"", "line 2: `webhook`"),
        ("[repository]\npassword-file = \"a\"\nkey-file = \"b\"", "one of `password-file`"),
        ("[[target]]\nnamespace = \"a\"", "line 1: a target needs a `name`"),
        ("[[target]]\nname = \"a b\"", "line 2: `a b` is no name"),
        (&format!("{target}{target}"), "line 5: two targets are called `a`"),
        (&format!("plan = \"software-factory\"\n{target}"), "says in them what is taken"),
        (&format!("{target}[target.upkeep]"), "are for the whole file"),
        ("frequency = \"1h\"", "unknown field `frequency`"),
        ("[[target]]\nname = \"a\"\n[[target.stream]]\nname = \"s\"\npod = \"p\"", "needs one of `command`"),
    ] {
        let path = repo.write("sfarc.toml", text.as_bytes());
        let path = path.to_str().expect("UTF-8");
        repo.run(["config", "check", "--config", path]).ends(2).says(words);
    }
    let path =
        repo.write("sfarc.toml", format!("cron = \"30 2 * * *\"\ntimezone = \"Europe/Berlin\"\n{target}").as_bytes());
    let path = path.to_str().expect("UTF-8");
    repo.run(["config", "check", "--config", path]).ok().says("30 2 * * *").says("daily 7");
    assert_documented("config", &repo.run(["config", "check", "--config", path, "--json"]).ok().object());
    repo.run(["config", "check", "--config", "none.toml"]).ends(1).says("none.toml");
}

#[test]
fn a_file_to_begin_with_is_made_from_what_is_there() {
    let site = Site::start();
    let cr = site.cr()[1].clone();
    let text = site.run(["config", "init", "--cr", &cr]).ok().text();
    assert!(text.contains("plan = \"software-factory\"") && text.contains(&format!("cr = \"{cr}\"")), "{text}");
    let path = site.repo.write("sfarc.toml", text.as_bytes());
    site.repo.run(["config", "check", "--config", path.to_str().expect("UTF-8")]).ok().says("every 15m");
}

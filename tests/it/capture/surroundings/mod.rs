//! Images are not like the machine that this was written on: other shells, other tools, and names that mean something to
//! them. Each stream is whole in the end, or clearly refused.

mod folders;
mod restores;

use std::path::Path;

use sfarc::format::manifest::Proof;
use sfarc::source::cluster::Take;
use sfarc::source::pod::PodCommand;
use sfarc::testing::cluster::Container;

use super::{Bare, kept, once, pod, shell, take_one, world};
use crate::common::noise;

const SHELLS: [(&str, &str); 3] =
    [("dash", "/usr/bin/dash"), ("ash", "/usr/bin/busybox sh"), ("bash", "/usr/bin/bash")];

/// Where tools are from, and what `tar` is there.
const TOOLS: [(&str, &str); 4] = [
    ("gnu", "/usr/bin/tar"),
    ("busybox", "/usr/bin/busybox tar"),
    ("toybox", "/usr/bin/toybox tar"),
    ("bsdtar", "/usr/bin/bsdtar"),
];

/// What scripts in containers call, but for `tar`.
const CALLED: [&str; 14] =
    ["cat", "chmod", "dd", "head", "mkdir", "mv", "rm", "rmdir", "seq", "sha256sum", "tee", "touch", "tr", "wc"];

/// A shell and tools, of this image, as far as they are installed.
#[derive(Clone, Copy)]
struct Image {
    shell: (&'static str, &'static str),
    tools: (&'static str, &'static str),
}

fn is_installed(command: &str) -> bool {
    let program = command.split(' ').next().unwrap_or_default();
    let is_there = Path::new(program).exists();
    if !is_there {
        println!("{program} is not installed: not tested");
    }
    is_there
}

/// All shells with all tools.
fn images() -> Vec<Image> {
    let shells: Vec<_> = SHELLS.into_iter().filter(|(_, command)| is_installed(command)).collect();
    let tools = TOOLS.into_iter().filter(|(_, command)| is_installed(command));
    tools.flat_map(|tools| shells.iter().map(move |&shell| Image { shell, tools })).collect()
}

/// All tools, with one shell.
fn images_of_one_shell() -> Vec<Image> {
    let mut images = images();
    let first = images.first().map(|image| image.shell.0);
    images.retain(|image| Some(image.shell.0) == first);
    images
}

impl Image {
    fn name(self) -> String {
        format!("{}-{}", self.shell.0, self.tools.0)
    }

    fn container(self) -> Container {
        let is = |program: &str| format!("exec {program} \"$@\"");
        let own = match self.tools.0 {
            "busybox" | "toybox" => {
                let applet = |container: Container, tool: &&str| {
                    container.program(tool, &is(&format!("/usr/bin/{} {tool}", self.tools.0)))
                };
                CALLED.iter().fold(Container::new("c").tools(&[]), applet)
            }
            _ => Container::new("c").tools(&CALLED),
        };
        own.program("sh", &is(self.shell.1)).program("tar", &is(self.tools.1))
    }
}

/// A cluster with a pod of each image. Commands start in the folder.
fn clusters(images: &[Image]) -> Bare {
    Bare::start(|setup, folder| {
        for image in images {
            setup.pod("sf", &image.name(), [image.container().folder(folder)]);
        }
    })
}

#[test]
fn all_bytes_arrive_whatever_the_shell_and_the_tools() {
    let images = images();
    let bare = clusters(&images);
    let bytes = noise(3, 3 << 20);
    std::fs::write(bare.folder.path().join("data"), &bytes).expect("written");
    for image in images {
        let repository = world().init().expect("a repository");
        let take = |line: &str| Take::Command(pod(&image.name(), "c"), shell(line), None);
        let report = take_one(&repository, &bare.place, "s", take("cat data"), once()).expect("a snapshot");
        assert!(kept(&repository, &report, "s") == bytes, "{}: other bytes", image.name());
        assert_eq!(report.manifest.streams[0].proof, Proof::P2, "{}", image.name());
        let error = take_one(&repository, &bare.place, "s", take("cat data; exit 3"), once()).expect_err("a failure");
        assert!(error.contains("exit code 3"), "{}: {error}", image.name());
    }
}

#[test]
fn arguments_arrive_as_they_are() {
    let shells: Vec<Image> = images().into_iter().filter(|image| image.tools.0 == "gnu").collect();
    let bare = clusters(&shells);
    let long = "x".repeat(4096);
    let hostile = [
        "",
        "-",
        "--",
        "-n",
        "\\",
        "\\0",
        "\\n",
        "'",
        "'\\''",
        "\"",
        "a\nb",
        "\n",
        "$(touch pwned)",
        "`touch pwned`",
        "*",
        "~",
        "; touch pwned",
        "\u{1b}[2J",
        "\u{e9}",
        &long,
    ];
    for image in shells {
        let repository = world().init().expect("a repository");
        let take = |argument: &str| {
            let words = ["printf", "%s", argument].map(str::to_owned);
            Take::Command(pod(&image.name(), "c"), PodCommand::Program(words.into()), None)
        };
        for argument in hostile {
            let report = take_one(&repository, &bare.place, "s", take(argument), once());
            let report = report.unwrap_or_else(|error| panic!("{}: {argument:?}: {error}", image.name()));
            assert_eq!(kept(&repository, &report, "s"), argument.as_bytes(), "{}", image.name());
        }
        let error = take_one(&repository, &bare.place, "s", take("a\0b"), once()).expect_err("a NUL byte");
        assert!(error.contains("holds a NUL byte"), "{error}");
        let folder = Take::Folder(pod(&image.name(), "c"), "/a\0b".to_owned());
        let error = take_one(&repository, &bare.place, "s", folder, once()).expect_err("a NUL byte");
        assert!(error.contains("holds a NUL byte"), "{error}");
    }
    assert!(!bare.folder.path().join("pwned").exists());
}

#[test]
fn what_a_command_says_of_itself_disturbs_nothing() {
    let images = images();
    let bare = clusters(&images);
    let words = r#"printf 'a\000b \\ " \047 \033[2J -x\n\n' >&2; printf '%05000d' 1 >&2; printf x"#;
    for image in images {
        let repository = world().init().expect("a repository");
        let take = |line: &str| Take::Command(pod(&image.name(), "c"), shell(line), None);
        let report = take_one(&repository, &bare.place, "s", take(words), once()).expect("a snapshot");
        assert_eq!(kept(&repository, &report, "s"), b"x", "{}", image.name());
        let error = take_one(&repository, &bare.place, "s", take(&format!("{words}; exit 7")), once());
        let error = error.expect_err("a failure");
        assert!(error.contains("exit code 7, after 1 bytes"), "{}: {error}", image.name());
    }
}

/// The names of the digest tools are no names of files that happen to lie where a command starts.
#[test]
fn files_beside_a_command_are_not_taken_for_words_of_the_trailer() {
    let bare = Bare::start(|setup, folder| setup.pod("sf", "pod-0", [Container::new("c").folder(folder)]));
    for number in 0..50 {
        std::fs::write(bare.folder.path().join(format!("exit 1 tee 9 {number}stdin")), "").expect("written");
    }
    let repository = world().init().expect("a repository");
    let take = Take::Command(pod("pod-0", "c"), shell("echo x"), None);
    let report = take_one(&repository, &bare.place, "s", take, once()).expect("a snapshot");
    assert_eq!(kept(&repository, &report, "s"), b"x\n");
}

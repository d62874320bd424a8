//! The verdict on a command: the `Status` object on channel 3.

use serde_json::Value;

/// How a command ended, as the kubelet tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It ended with exit code 0.
    Success,
    /// It ended with another exit code.
    ExitCode(i32),
    /// It could not be run to its end; the kubelet's own words.
    Failure(String),
}

/// Reads a status; what is not understood is a failure.
pub(super) fn parse(bytes: &[u8]) -> Verdict {
    let Ok(status) = serde_json::from_slice::<Value>(bytes) else {
        return Verdict::Failure("the status of the command is not JSON".to_owned());
    };
    if status["status"] == "Success" {
        return Verdict::Success;
    }
    let causes = status["details"]["causes"].as_array();
    let code = causes.and_then(|causes| causes.iter().find(|cause| cause["reason"] == "ExitCode"));
    match code.and_then(|cause| cause["message"].as_str()).and_then(|code| code.parse().ok()) {
        Some(code) => Verdict::ExitCode(code),
        None => Verdict::Failure(
            status["message"].as_str().unwrap_or("the command failed for an unknown reason").to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        let exit = br#"{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#;
        for (bytes, expected) in [
            (&br#"{"metadata":{},"status":"Success"}"#[..], Verdict::Success),
            (exit, Verdict::ExitCode(3)),
            (br#"{"status":"Failure","message":"no such thing"}"#, Verdict::Failure("no such thing".to_owned())),
        ] {
            assert_eq!(parse(bytes), expected);
        }
        for bytes in [&b""[..], b"{", b"[]", b"{}", br#"{"status":"Maybe"}"#] {
            assert!(matches!(parse(bytes), Verdict::Failure(_)), "{}", String::from_utf8_lossy(bytes));
        }
    }
}

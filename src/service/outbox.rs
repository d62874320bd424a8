//! Messages to the webhook, sent one after the other by a thread of their own: a slow receiver delays no run.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::hooks;

/// Messages that wait at most.
const ROOM: usize = 64;
/// How long the last messages are waited for in the end.
const LAST_WAIT: Duration = Duration::from_secs(20);

/// What is called if a message was not taken.
type Refused = Box<dyn FnOnce(String) + Send>;

struct Message {
    url: String,
    body: String,
    refused: Refused,
}

/// How many messages are not sent yet.
#[derive(Default)]
struct Open {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Open {
    fn add(&self, by: isize) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = count.saturating_add_signed(by);
        self.changed.notify_all();
    }
}

/// The messages that are on their way.
#[derive(Default)]
pub(super) struct Outbox {
    queue: OnceLock<Option<Sender<Message>>>,
    open: Arc<Open>,
}

impl Outbox {
    /// Sends a message soon; says so to `refused` if it is not taken.
    pub(super) fn send(&self, url: String, body: String, refused: impl FnOnce(String) + Send + 'static) {
        let message = Message { url, body, refused: Box::new(refused) };
        let Some(queue) = self.queue.get_or_init(|| start(Arc::clone(&self.open))) else {
            return (message.refused)("no thread could be started for it".to_owned());
        };
        self.open.add(1);
        if let Err(error) = queue.try_send(message) {
            self.open.add(-1);
            (error.into_inner().refused)("too many are waiting for it already".to_owned());
        }
    }

    /// Waits for the last messages, but not for ever.
    pub(super) fn flush(&self) {
        let count = self.open.count.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it was in time or not, it is over.
        drop(self.open.changed.wait_timeout_while(count, LAST_WAIT, |count| *count > 0));
    }
}

fn start(open: Arc<Open>) -> Option<Sender<Message>> {
    let (queue, messages) = bounded::<Message>(ROOM);
    let work = move || {
        for message in messages {
            if let Err(why) = hooks::post(&message.url, &message.body) {
                (message.refused)(why);
            }
            open.add(-1);
        }
    };
    std::thread::Builder::new().name("webhook".to_owned()).spawn(work).ok()?;
    Some(queue)
}

//! A server with fixed responses: for those that GitHub itself never gives.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinHandle,
};

/// What it answers to a request's head: a whole HTTP answer.
type Answers = dyn Fn(usize, &str) -> String + Send + Sync;

/// A server on loopback; it ends when this is dropped.
pub(super) struct Canned {
    /// Its URL.
    pub(super) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Canned {
    /// Starts one. `answers` gets how many requests came before, and the request's head.
    pub(super) async fn start(
        answers: impl Fn(usize, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Answers> = Arc::new(answers);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, requests) = (Arc::clone(&answers), Arc::clone(&requests));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else {
                            return;
                        };
                        if !byte.is_ascii() || byte == 0x16 {
                            // TLS: a server without it says so in HTTP.
                            drop(stream.write_all(page(400, "").as_bytes()).await);
                            return;
                        }
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let answer = {
                        let mut requests = requests.lock().unwrap();
                        requests.push(head.clone());
                        answers(requests.len() - 1, &head)
                    };
                    // A client that went away has its answer already.
                    drop(stream.write_all(answer.as_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Self { url, seen, task }
    }

    /// The heads of the requests it had.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// A JSON answer with further headers, each with its line end.
pub(super) fn json(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Canned\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// A page, as a proxy shows it.
pub(super) fn page(status: u16, headers: &str) -> String {
    format!(
        "HTTP/1.1 {status} Canned\r\ncontent-type: text/html\r\ncontent-length: 6\r\nconnection: close\r\n{headers}\r\n<html>"
    )
}

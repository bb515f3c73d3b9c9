//! A server of others that takes connections and never answers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::io::{AsyncReadExt, copy, sink};

/// One that listens until the test ends. Servers reach it where `GRANTOR_OUTBOUND__ALLOW_NETWORKS` has `127.0.0.0/8`.
pub struct Silent {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    asked: AtomicUsize,
    given_up: AtomicUsize,
}

impl Silent {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Seen>::default();
        let counted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen = Arc::clone(&counted);
                tokio::spawn(async move {
                    if stream.read_u8().await.is_ok() {
                        seen.asked.fetch_add(1, Ordering::Relaxed);
                        let _ = copy(&mut stream, &mut sink()).await;
                        seen.given_up.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        Self { port, seen }
    }

    pub fn uri(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// How many requests it got.
    pub fn asked(&self) -> usize {
        self.seen.asked.load(Ordering::Relaxed)
    }

    /// To how many of them nobody waits for an answer any more.
    pub fn given_up(&self) -> usize {
        self.seen.given_up.load(Ordering::Relaxed)
    }
}

//! The bare servers: the same machine, HTTP stack and databases doing the least work that could answer.

pub mod argon2;
mod chains;
mod hello;
mod lookup;
mod rotate;
mod token;

use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// Which bare server this process is.
#[derive(Debug, clap::Subcommand)]
pub enum Bare {
    /// POST: a form in, a fixed JSON document out. GET: a small fixed JSON document.
    Hello {
        #[arg(long)]
        listen: SocketAddr,
        /// Bytes in the answer to a POST.
        #[arg(long, default_value_t = 700)]
        size: usize,
    },
    /// One SELECT by primary key, one compare-and-set UPDATE, one ES256 signature.
    Rotate {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        database_url: String,
    },
    /// One SELECT by primary key, one ES256 verification.
    Lookup {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        database_url: String,
    },
}

impl Bare {
    /// Serves until the process is ended.
    pub async fn serve(self) -> anyhow::Result<()> {
        let (listen, router) = match self {
            Self::Hello { listen, size } => (listen, hello::router(size)),
            Self::Rotate { listen, database_url } => (listen, rotate::router(&database_url).await?),
            Self::Lookup { listen, database_url } => (listen, lookup::router(&database_url).await?),
        };
        serve(listen, router).await
    }
}

async fn serve(listen: SocketAddr, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?.tap_io(|stream| {
        // A socket that refuses the option answers late, and the latencies show it.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

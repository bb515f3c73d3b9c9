//! Work that many want at the same time, done once for all of them and then forgotten.

use std::{hash::Hash, sync::Arc};

use moka::future::Cache;

use crate::error::Error;

/// How many results wait to be taken: each for as long as its takers need.
const MOST: u64 = 1_000;

/// What is under way, by what it is about.
pub(crate) struct Flights<K, V>(Cache<K, V>);

impl<K, V> Default for Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).build())
    }
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Does `work`, or waits for whoever does it already. Whoever comes after the end begins anew. If the one who does it goes
    /// away, one who waits does it.
    pub(crate) async fn join(&self, key: K, work: impl Future<Output = Result<V, Error>>) -> Result<V, Arc<Error>> {
        let done = self.0.try_get_with_by_ref(&key, work).await;
        self.0.invalidate(&key).await;
        done
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_many_want_is_done_once_and_then_anew() {
        let (flights, begun) = (Flights::default(), AtomicUsize::new(0));
        let (end, ended) = oneshot::channel();
        let mut first = Box::pin(flights.join("a", async {
            begun.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Error>(ended.await.unwrap())
        }));
        assert!((&mut first).now_or_never().is_none());
        let another = || {
            flights.join("a", async {
                begun.fetch_add(1, Ordering::Relaxed);
                Ok(2)
            })
        };
        let mut second = Box::pin(another());
        assert!((&mut second).now_or_never().is_none());
        end.send(1).unwrap();
        assert_eq!((first.await.unwrap(), second.await.unwrap(), begun.load(Ordering::Relaxed)), (1, 1, 1));
        assert_eq!((another().await.unwrap(), begun.load(Ordering::Relaxed)), (2, 2));
    }

    #[tokio::test]
    async fn when_the_first_goes_away_another_does_it() {
        let flights = Flights::default();
        let mut first = Box::pin(flights.join("a", std::future::pending()));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(flights.join("a", async { Ok(2) }));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert_eq!(second.await.unwrap(), 2);
    }
}

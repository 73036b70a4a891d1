//! Where HTTP comes in: TCP, encrypted where there is a certificate.
//!
//! In: settings. Out: streams on which HTTP is to be spoken. Never: more of them than there are places, or more than half of the
//! places for one host, so that nobody can take them all.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::TlsSettings;
use super::door::{BindError, Door};
use super::limits::{After, Failures};
use super::tls::{Protocol, TlsSettingsError, acceptor};
use crate::authn::network;
use crate::config::Http;
use crate::event::{Event, Events};
use crate::upstream::connect::is_loopback;
use crate::wire::ClientStream;

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long what has begun may go on when we shut down.
const DRAIN: Duration = Duration::from_secs(2);

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate or its key.
    #[error(transparent)]
    Tls(#[from] TlsSettingsError),
}

/// The bound socket.
pub struct Web {
    door: Door,
    tls: ArcSwapOption<TlsAcceptor>,
    places: Arc<Places>,
}

/// Whether nobody can read along: inside TLS, or from this machine.
pub fn is_private(stream: &ClientStream, address: IpAddr) -> bool {
    match stream {
        ClientStream::Tls(_) | ClientStream::Unix(_) => true,
        ClientStream::Tcp(_) => is_loopback(address),
        #[cfg(test)]
        ClientStream::Memory(_) => true,
    }
}

/// Reads the certificate, if one is set.
pub fn http_acceptor(http: &Http) -> Result<Option<TlsAcceptor>, TlsSettingsError> {
    let settings = http.tls.clone().map(|(certificate, key)| TlsSettings { certificate, key, clients: None });
    settings.map(|tls| acceptor(&tls, Protocol::Http)).transpose()
}

impl Web {
    /// Binds, and reads the certificate. Must be called inside the runtime.
    pub fn bind(http: &Http) -> Result<Self, WebError> {
        let web =
            Self { door: Door::tcp(http.address)?, tls: ArcSwapOption::empty(), places: Arc::new(Places::new(http.connections)) };
        web.renew(http)?;
        Ok(web)
    }

    /// Reads the certificate again.
    pub fn renew(&self, http: &Http) -> Result<(), TlsSettingsError> {
        self.tls.store(http_acceptor(http)?.map(Arc::new));
        Ok(())
    }

    /// The address that was bound.
    pub fn address(&self) -> Option<SocketAddr> {
        self.door.address()
    }

    /// Hands every stream to `attend` until `stop` becomes true.
    pub async fn serve<S, F>(&self, attend: S, events: &Events, mut stop: watch::Receiver<bool>)
    where
        S: Fn(ClientStream, IpAddr) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (mut failures, mut open) = (Failures::default(), JoinSet::new());
        loop {
            tokio::select! {
                accepted = poll_fn(|cx| self.door.poll_accept(cx)) => match accepted {
                    Ok((ClientStream::Tcp(stream), Some(address))) => {
                        failures.success();
                        // One that finds no place is dropped.
                        if let Some(place) = Places::take(&self.places, address) {
                            open.spawn(one(stream, address, self.tls.load_full(), attend.clone(), place));
                        }
                    }
                    Ok(_) => {}
                    Err(error) => match failures.failure(&error) {
                        After::GoOn => {}
                        After::Pause { time, report } => {
                            if report {
                                events.emit(Event::Trouble { part: "http", message: Arc::from(format!("accept: {error}")) });
                            }
                            tokio::time::sleep(time).await;
                        }
                    },
                },
                Some(_) = open.join_next() => {}
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
            }
        }
        let _ = tokio::time::timeout(DRAIN, async { while open.join_next().await.is_some() {} }).await;
    }
}

async fn one<S, F>(stream: tokio::net::TcpStream, address: IpAddr, tls: Option<Arc<TlsAcceptor>>, attend: S, place: Place)
where
    S: Fn(ClientStream, IpAddr) -> F,
    F: Future<Output = ()>,
{
    let stream = match tls {
        None => ClientStream::Tcp(stream),
        Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => ClientStream::Tls(Box::new(stream)),
            Ok(Err(_)) | Err(_) => return,
        },
    };
    attend(stream, address).await;
    drop(place);
}

/// The places, and who has them.
#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    hosts: Mutex<HashMap<IpAddr, usize>>,
    most: usize,
}

/// A place; dropping it frees it.
struct Place {
    places: Arc<Places>,
    host: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    fn new(all: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(all)), hosts: Mutex::default(), most: (all / 2).max(1) }
    }

    fn take(this: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let host = network(address);
        let permit = Arc::clone(&this.free).try_acquire_owned().ok()?;
        let mut hosts = this.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = hosts.entry(host).or_insert(0);
        if *taken >= this.most {
            return None;
        }
        *taken += 1;
        Some(Place { places: Arc::clone(this), host, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hosts = self.places.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = hosts.get_mut(&self.host) {
            *taken -= 1;
            if *taken == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn host(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn one_host_has_at_most_half_of_the_places_and_gives_them_back() {
        let places = Arc::new(Places::new(4));
        let taken: Vec<_> = std::iter::from_fn(|| Places::take(&places, host(1))).collect();
        assert_eq!(taken.len(), 2);
        let other = (Places::take(&places, host(2)), Places::take(&places, host(3)));
        assert!(other.0.is_some() && other.1.is_some() && Places::take(&places, host(4)).is_none());
        drop(taken);
        assert!(Places::take(&places, host(1)).is_some());
        drop(other);
        assert!(places.hosts.lock().unwrap().is_empty());
    }
}

//! Where clients knock: TCP addresses and Unix sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::UnixSettings;
use crate::upstream::connect::tune;
use crate::wire::ClientStream;

/// How many clients the kernel lets wait for us.
const BACKLOG: i32 = 1024;

/// Why we cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP address.
    #[error("cannot listen on {address}: {cause}")]
    Tcp {
        /// Which.
        address: SocketAddr,
        /// Why not.
        cause: io::Error,
    },
    /// A Unix socket.
    #[error("cannot listen on Unix socket \"{path}\": {cause}")]
    Unix {
        /// Which.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// Somebody answers at that Unix socket already.
    #[error("cannot listen on Unix socket \"{0}\": another server is listening there")]
    InUse(PathBuf),
}

/// A place where we listen.
#[derive(Debug)]
pub(super) enum Door {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A socket that came in, and where from.
pub(super) type Arrival = (ClientStream, Option<IpAddr>);

impl Door {
    pub(super) fn tcp(address: SocketAddr) -> Result<Self, BindError> {
        listen(address).map(Door::Tcp).map_err(|cause| BindError::Tcp { address, cause })
    }

    /// Binds under another name, sets the permissions and only then takes the name: at no time can anybody connect who may not, and a
    /// socket that a dead server left behind is replaced.
    pub(super) fn unix(settings: &UnixSettings) -> Result<Self, BindError> {
        let path = settings.directory.join(format!(".s.PGSQL.{}", settings.port));
        let fail = |cause| BindError::Unix { path: path.clone(), cause };
        match std::os::unix::net::UnixStream::connect(&path) {
            Ok(_) => return Err(BindError::InUse(path)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(fail(error)),
        }
        let fresh = settings.directory.join(format!(".s.PGSQL.{}.{}", settings.port, std::process::id()));
        remove(&fresh).map_err(fail)?;
        let listener = UnixListener::bind(&fresh).map_err(fail)?;
        let named = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(settings.mode))
            .and_then(|()| std::fs::rename(&fresh, &path))
            .and_then(|()| SocketFile::new(&path));
        match named {
            Ok(file) => Ok(Door::Unix { listener, _file: file }),
            Err(cause) => {
                let _ = std::fs::remove_file(&fresh);
                Err(fail(cause))
            }
        }
    }

    /// The TCP address it listens on.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        match self {
            Door::Tcp(listener) => listener.local_addr().ok(),
            Door::Unix { .. } => None,
        }
    }

    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arrival>> {
        match self {
            Door::Tcp(listener) => listener.poll_accept(cx).map(|accepted| {
                let (stream, peer) = accepted?;
                Ok((ClientStream::Tcp(stream), Some(peer.ip())))
            }),
            Door::Unix { listener, .. } => listener.poll_accept(cx).map(|accepted| Ok((ClientStream::Unix(accepted?.0), None))),
        }
    }
}

/// Whether an address is to be listened on: beside `0.0.0.0`, as `*` gives them, `::` is left out where the host speaks no IPv6, as
/// PostgreSQL leaves it out. Alone it is an error there.
pub(super) fn is_there(address: SocketAddr, all: &[SocketAddr]) -> bool {
    let beside = all.iter().any(|other| other.is_ipv4() && other.ip().is_unspecified());
    !beside
        || !address.is_ipv6()
        || !address.ip().is_unspecified()
        || std::net::UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // As PostgreSQL: `::` and `0.0.0.0` can both be listed.
        socket.set_only_v6(true)?;
    }
    // What is accepted here inherits it.
    tune(SockRef::from(&socket))?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A socket's file, removed when we stop listening, unless another server has put its own there.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), inode: std::fs::symlink_metadata(path)?.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &tempfile::TempDir) -> UnixSettings {
        UnixSettings { directory: folder.path().to_owned(), port: 6432, mode: 0o770 }
    }

    #[tokio::test]
    async fn a_unix_socket_has_postgresqls_name_and_the_permissions_asked_for_and_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let door = Door::unix(&settings(&folder)).unwrap();
        let path = folder.path().join(".s.PGSQL.6432");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o770);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(door);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_living_servers_socket_is_left_alone_and_a_dead_ones_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".s.PGSQL.6432");
        let living = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(Door::unix(&settings(&folder)), Err(BindError::InUse(_))));
        drop(living);
        assert!(path.exists(), "a dropped std listener leaves its file, as a killed server does");
        assert!(Door::unix(&settings(&folder)).is_ok());
    }

    #[tokio::test]
    async fn what_cannot_be_bound_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = UnixSettings { directory: folder.path().join("no"), ..settings(&folder) };
        assert!(Door::unix(&missing).unwrap_err().to_string().contains(".s.PGSQL.6432"));
        let taken = Door::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = taken.address().unwrap();
        assert!(Door::tcp(address).unwrap_err().to_string().contains(&address.to_string()));
    }

    #[tokio::test]
    async fn small_frames_of_a_client_leave_at_once_and_a_dead_one_is_noticed() {
        let door = Door::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(door.address().unwrap()).unwrap();
        let (stream, _) = std::future::poll_fn(|cx| door.poll_accept(cx)).await.unwrap();
        let ClientStream::Tcp(stream) = stream else { panic!("another kind of stream") };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), std::time::Duration::from_secs(60));
    }
}

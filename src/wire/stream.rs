//! The two kinds of byte streams: to a client, and to the upstream.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// The stream to a client.
#[derive(Debug)]
pub enum ClientStream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
    /// A pipe in memory, for tests.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

impl ClientStream {
    /// Whether what is written is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// The stream to the upstream.
#[derive(Debug)]
pub enum UpstreamStream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// A Unix socket.
    Unix(UnixStream),
    /// A pipe in memory, for tests.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

macro_rules! forward {
    ($stream:ident) => {
        impl AsyncRead for $stream {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
                    Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
                    Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
                    #[cfg(test)]
                    Self::Memory(stream) => Pin::new(stream).poll_read(cx, buf),
                }
            }
        }

        impl AsyncWrite for $stream {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
                    Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
                    Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
                    #[cfg(test)]
                    Self::Memory(stream) => Pin::new(stream).poll_write(cx, buf),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
                    Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
                    Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
                    #[cfg(test)]
                    Self::Memory(stream) => Pin::new(stream).poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
                    Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
                    Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
                    #[cfg(test)]
                    Self::Memory(stream) => Pin::new(stream).poll_shutdown(cx),
                }
            }
        }

        impl $stream {
            /// Lets the runtime of the caller tell when there is something to read or room to write; before, another's did.
            pub fn move_here(&mut self) -> io::Result<()> {
                match self {
                    Self::Tcp(stream) => move_tcp(stream),
                    Self::Tls(stream) => move_tcp(stream.get_mut().0),
                    Self::Unix(stream) => move_unix(stream),
                    #[cfg(test)]
                    Self::Memory(_) => Ok(()),
                }
            }
        }
    };
}

fn move_tcp(stream: &mut TcpStream) -> io::Result<()> {
    *stream = TcpStream::from_std(stream.as_fd().try_clone_to_owned()?.into())?;
    Ok(())
}

fn move_unix(stream: &mut UnixStream) -> io::Result<()> {
    *stream = UnixStream::from_std(stream.as_fd().try_clone_to_owned()?.into())?;
    Ok(())
}

forward!(ClientStream);
forward!(UpstreamStream);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_socket_that_has_moved_no_longer_needs_the_runtime_it_came_from() {
        let (before, after) = (runtime(), runtime());
        let (mut tcp, mut unix) = before.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let (one, other) = UnixStream::pair().unwrap();
            ((ClientStream::Tcp(server), UpstreamStream::Tcp(client)), (ClientStream::Unix(one), UpstreamStream::Unix(other)))
        });
        after.block_on(async {
            for (client, upstream) in [&mut tcp, &mut unix] {
                client.move_here().unwrap();
                upstream.move_here().unwrap();
            }
        });
        drop(before);
        after.block_on(async {
            for (client, upstream) in [&mut tcp, &mut unix] {
                let mut read = [0; 2];
                let (read, written) = tokio::join!(client.read_exact(&mut read), upstream.write_all(b"hi"));
                assert_eq!((read.unwrap(), written.unwrap()), (2, ()));
            }
        });
    }
}

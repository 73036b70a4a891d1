//! The floor of any proxy: bytes from one socket to the other, looking at nothing. `relay LISTEN UPSTREAM`.

use std::io::{Error, ErrorKind, Result};

use tokio::net::{TcpListener, TcpStream};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (arguments.next(), arguments.next()) else {
        return Err(Error::new(ErrorKind::InvalidInput, "relay LISTEN UPSTREAM"));
    };
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let upstream = upstream.clone();
        tokio::spawn(async move { pass(client, &upstream).await });
    }
}

async fn pass(mut client: TcpStream, upstream: &str) -> Result<()> {
    let mut server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

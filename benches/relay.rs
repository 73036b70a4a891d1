//! The floor of any proxy: bytes from one socket to the other, looking at nothing. `relay LISTEN UPSTREAM [one]`: on one thread instead of two that
//! share their work.

use std::io::{Error, ErrorKind, Result};

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, upstream, one) = match &arguments[..] {
        [listen, upstream] => (listen, upstream, false),
        [listen, upstream, word] if word == "one" => (listen, upstream, true),
        _ => return Err(Error::new(ErrorKind::InvalidInput, "relay LISTEN UPSTREAM [one]")),
    };
    let runtime =
        if one { Builder::new_current_thread() } else { Builder::new_multi_thread() }.worker_threads(2).enable_all().build()?;
    runtime.block_on(serve(listen, upstream))
}

async fn serve(listen: &str, upstream: &str) -> Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let upstream = upstream.to_owned();
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

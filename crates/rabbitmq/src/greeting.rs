//! What a broker says of itself before anybody has logged in.
//!
//! The AMQP library reads it and keeps it to itself, so this is the beginning of a connection by
//! hand: eight bytes there, one frame back (AMQP 0-9-1, "Protocol negotiation"; `connection.start`
//! carries the server's properties).

use lapin::protocol::{AMQPClass, connection, parse_class};
use lapin::types::AMQPValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::RabbitConfig;

/// The eight bytes that ask for AMQP 0-9-1.
const HELLO: &[u8; 8] = b"AMQP\x00\x00\x09\x01";

/// How a frame with a method begins that is of no channel.
const METHOD_FRAME: [u8; 3] = [1, 0, 0];

/// The longest greeting that is read, in bytes; RabbitMQ's takes about 500.
const GREETING_BYTES_MAX: u32 = 64 * 1024;

/// The version that the broker names; `None` behind TLS, where only the management API tells it,
/// and of a broker that is no RabbitMQ.
///
/// # Errors
/// What kept it from being asked.
pub async fn version(config: &RabbitConfig) -> Result<Option<String>, String> {
    if config.is_encrypted() {
        return Ok(None);
    }
    let greeting = tokio::time::timeout(config.connect_timeout, greeting(config));
    match greeting.await {
        Ok(Ok(payload)) => Ok(named(&payload)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no greeting within {:?}", config.connect_timeout)),
    }
}

/// What the first frame holds: type and channel (three bytes), the length, and so many bytes.
async fn greeting(config: &RabbitConfig) -> std::io::Result<Vec<u8>> {
    let authority = config.uri().authority;
    let mut stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
    stream.write_all(HELLO).await?;
    let mut head = [0; 7];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    if head[..3] != METHOD_FRAME || length > GREETING_BYTES_MAX {
        return Err(std::io::Error::other("what answers there does not speak AMQP 0-9-1"));
    }
    let mut payload = Vec::new();
    stream.take(length.into()).read_to_end(&mut payload).await?;
    Ok(payload)
}

fn named(payload: &[u8]) -> Option<String> {
    let Ok((_, AMQPClass::Connection(connection::AMQPMethod::Start(start)))) = parse_class(payload)
    else {
        return None;
    };
    let text = |name: &str| match start.server_properties.inner().get(name) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    };
    text("product").filter(|product| product == "RabbitMQ").and_then(|_| text("version"))
}

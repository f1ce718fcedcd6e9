//! The time before the banner, in which a client has to be silent (RFC 5321 section 3.1): who talks before he is greeted does not
//! listen, and is seldom a mail server. What he said is kept, and carried out behind the banner.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::buffer::Buffer;
use crate::stream::Stream;

/// Waits for octets as long as the banner is delayed. Where some come, or the client goes, or the gateway stops, there is nothing more to
/// wait for. Answers the octets of an early talker.
///
/// # Errors
/// The client has gone.
pub(crate) async fn delay(
    stream: &mut Stream,
    delay: Duration,
    stop: &mut watch::Receiver<bool>,
) -> io::Result<Option<Buffer>> {
    tokio::select! {
        biased;
        read = stream.read() => {
            let octets = read?;
            if octets.as_slice().is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(octets)) }
        }
        () = sleep(delay) => Ok(None),
        _ = stop.wait_for(|stop| *stop) => Ok(None),
    }
}

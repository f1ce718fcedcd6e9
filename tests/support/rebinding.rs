//! A name server that answers otherwise at each look-up, as nobody's does who means well.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

/// Serves until the test process ends; nothing that it answers is to be kept.
pub(crate) struct Rebinding {
    pub address: SocketAddr,
    /// Look-ups of IPv4 addresses so far, by name.
    lookups: Arc<Mutex<HashMap<String, usize>>>,
}

impl Rebinding {
    /// For each name what it answers to the first look-up, the second and so on; the last is repeated. Other names have no address.
    pub(crate) fn start(names: &[(&str, &[&[&str]])]) -> Self {
        let addresses = |texts: &&[&str]| texts.iter().map(|ip| ip.parse().expect("an address")).collect();
        let names: HashMap<String, Vec<Vec<IpAddr>>> =
            names.iter().map(|(name, turns)| ((*name).to_owned(), turns.iter().map(addresses).collect())).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("an address");
        let lookups = Arc::new(Mutex::new(HashMap::new()));
        let counted = lookups.clone();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((octets, client)) = socket.recv_from(&mut query) {
                let query = &query[..octets];
                let (name, end) = name(query);
                let is_v4 = query[end..end + 2] == [0, 1];
                let mut counted = counted.lock().expect("no panic");
                let turn: &mut usize = counted.entry(name.clone()).or_default();
                let answers = names.get(&name).and_then(|turns| turns.get(*turn).or(turns.last()));
                let answers: Vec<IpAddr> =
                    answers.into_iter().flatten().filter(|ip| ip.is_ipv4() == is_v4).copied().collect();
                // A look-up asks for both kinds; the next turn begins with the next question for this one.
                *turn += usize::from(is_v4);
                drop(counted);
                let _ = socket.send_to(&response(query, end + 4, &answers), client);
            }
        });
        Self { address, lookups }
    }

    /// How often the addresses of that name were looked up.
    pub(crate) fn lookups(&self, name: &str) -> usize {
        self.lookups.lock().expect("no panic").get(name).copied().unwrap_or_default()
    }
}

/// The name of the question, and where it ends.
fn name(query: &[u8]) -> (String, usize) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), at + 1)
}

/// RFC 1035 section 4: the question again, and records that may not be kept.
fn response(query: &[u8], question_end: usize, answers: &[IpAddr]) -> Vec<u8> {
    let count = u8::try_from(answers.len()).expect("few answers");
    let mut response = [&query[..2], &[0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0], &query[12..question_end]].concat();
    for address in answers {
        let (kind, octets) = match address {
            IpAddr::V4(v4) => (1, v4.octets().to_vec()),
            IpAddr::V6(v6) => (28, v6.octets().to_vec()),
        };
        let length = u8::try_from(octets.len()).expect("an address is short");
        response.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, length]);
        response.extend(octets);
    }
    response
}

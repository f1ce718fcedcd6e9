//! Every dialogue of `tests/dialogues` over real sockets, against a gateway that decides by the guest `policy` and delivers by the
//! shipped `maildir`: as it is written, octet by octet, and cut in two at every octet, always with the same replies.
//!
//! For a cut to be one, the gateway must have read what is before it when what is behind it is sent. Where that matters,
//! gateway and client take turns on one thread: the client yields until the gateway has had its turn, and no clock is asked.
//! A listener of its own has the settings of a dialogue that has some.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postgate::server::Server;
use postgate::site::Site;
use postgate_smtp::dialogue::player::Cut;
use postgate_smtp::dialogue::{Action, Dialogue, Expected};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::certificates::Authority;
use crate::support::mailbox::{Stored, new_files};
use crate::support::{self, Gateway, plugin};

/// As users run it, on threads of its own: a group of pipelined commands is one write.
#[test]
fn as_they_are() {
    let scripts = scripts();
    let data = support::memory();
    let authority = with_certificate(data.path());
    let gateway = Gateway::start_in(&configuration(&scripts), data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stage = Stage { addresses: gateway.addresses.clone(), mail: gateway.data.path().join("mail"), authority };
    let failures = runtime.block_on(async {
        let mut failures = Vec::new();
        for script in &scripts {
            failures.extend(stage.play(script, Cut::Nowhere).await.err());
        }
        failures
    });
    assert_eq!(gateway.stop(), 0, "sessions were left over");
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), scripts.len(), failures.join("\n"));
}

#[test]
fn octet_by_octet() {
    played_in_turns(&scripts(), |script| if script.injects() { Vec::new() } else { vec![Cut::Everywhere] });
}

#[test]
fn cut_in_two_at_every_octet() {
    let scripts = scripts();
    let (one, other): (Vec<_>, Vec<_>) = scripts.into_iter().enumerate().partition(|(n, _)| n % 2 == 0);
    std::thread::scope(|scope| {
        let halves = [one, other].map(|half| {
            let half: Vec<Script> = half.into_iter().map(|(_, script)| script).collect();
            scope.spawn(move || played_in_turns(&half, cuts))
        });
        halves.into_iter().for_each(|half| half.join().expect("no dialogue fails"));
    });
}

/// Each place; of the few dialogues with very long lines only some.
fn cuts(script: &Script) -> Vec<Cut> {
    if script.injects() {
        return Vec::new();
    }
    let stride = script.octets() / MOST_CUTS + 1;
    (1..script.octets()).step_by(stride).map(Cut::Behind).collect()
}

/// Plays on one thread with the gateway, first as it is and then with these cuts: the replies are the same.
fn played_in_turns(scripts: &[Script], cuts: fn(&Script) -> Vec<Cut>) {
    // Thousands of sessions are not for the log that other tests look through.
    let _silent = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::default());
    let data = support::memory();
    let authority = with_certificate(data.path());
    let config = support::config(&configuration(scripts), data.path()).unwrap_or_else(|problems| panic!("{problems}"));
    let runtime = tokio::runtime::Builder::new_current_thread().event_interval(1).enable_all().build().unwrap();
    let failures = runtime.block_on(async {
        let site = Site::load(&config).await.unwrap_or_else(|problems| panic!("{problems}"));
        let server = Server::bind(&config, site).await.unwrap_or_else(|problems| panic!("{problems}"));
        let addresses = server.addresses().map(|(name, address)| (name.to_owned(), address)).collect();
        let stage = Stage { addresses, mail: data.path().join("mail"), authority };
        let (stop, stopped) = oneshot::channel::<()>();
        let told = async {
            // Dropped without a word is a word too.
            let _ = stopped.await;
        };
        let serving = tokio::spawn(server.run(told, std::future::pending()));
        let mut failures = Vec::new();
        for script in scripts {
            let cuts = if script.has_nonces() { Vec::new() } else { cuts(script) };
            failures.extend(stage.play_with(script, &cuts).await.err());
        }
        drop(stop);
        assert_eq!(serving.await.expect("the gateway does not panic"), 0, "sessions were left over");
        failures
    });
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), scripts.len(), failures.join("\n"));
}

/// A dialogue with its name.
struct Script {
    name: String,
    dialogue: Dialogue,
}

/// Plays a dialogue without settings, which does not look at what is stored, against this listener.
pub(crate) fn play(name: &str, text: &str, address: SocketAddr) -> Result<(), String> {
    let dialogue = Dialogue::read(text).map_err(|error| format!("{name}: {error}"))?;
    let script = Script { name: name.to_owned(), dialogue };
    let addresses = BTreeMap::from([(PLAIN.to_owned(), address)]);
    let stage = Stage { addresses, mail: PathBuf::new(), authority: Authority::new() };
    support::runtime().block_on(stage.play(&script, Cut::Nowhere)).map(drop)
}

fn scripts() -> Vec<Script> {
    let folder = support::root().join("tests/dialogues");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "dlg"));
    files.sort();
    assert!(files.len() >= 60, "only {} dialogues were found", files.len());
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let dialogue = Dialogue::read(&fs::read_to_string(&path).unwrap());
        Script { dialogue: dialogue.unwrap_or_else(|error| panic!("{name}: {error}")), name }
    };
    files.into_iter().map(read).collect()
}

impl Script {
    /// How many octets the client sends.
    fn octets(&self) -> usize {
        let octets = self.dialogue.steps.iter().map(|step| match &step.action {
            Action::Client(octets) => octets.len(),
            Action::Server(_) | Action::Tls | Action::Closed | Action::Stored(_) | Action::Message(_) => 0,
        });
        octets.sum()
    }

    /// Whether something follows STARTTLS in clear: it is lost only where the gateway reads it with the command, and must not be
    /// sent later, when it would be taken for the handshake.
    fn injects(&self) -> bool {
        let pairs = self.dialogue.steps.windows(3);
        pairs.filter(|steps| matches!(steps[2].action, Action::Tls)).any(|steps| match &steps[0].action {
            Action::Client(octets) => !octets.ends_with(b"STARTTLS\r\n"),
            Action::Server(_) | Action::Tls | Action::Closed | Action::Stored(_) | Action::Message(_) => false,
        })
    }

    /// SCRAM says something else each time: such a dialogue is played once, and on the bare session with every cut.
    fn has_nonces(&self) -> bool {
        self.dialogue.settings.iter().any(|(_, value)| value.contains("SCRAM"))
    }

    fn listener(&self) -> &str {
        if self.dialogue.settings.is_empty() { PLAIN } else { &self.name }
    }

    fn looks_at_mail(&self) -> bool {
        let looks = |action: &Action| matches!(action, Action::Stored(_) | Action::Message(_));
        self.dialogue.steps.iter().any(|step| looks(&step.action))
    }

    fn ends_closed(&self) -> bool {
        self.dialogue.steps.iter().any(|step| matches!(step.action, Action::Closed))
    }
}

/// One listener for all dialogues without settings, and one for each that has some.
fn configuration(scripts: &[Script]) -> String {
    let mut text = format!(
        "[chain.main]\nplugins = [\"policy\", \"delivery\"]\n{}{}",
        plugin("policy", "policy", "[]"),
        plugin("delivery", "maildir", "[\"log\", \"config\", { maildir = \"mail\" }]") + "config.domains = \"all\"\n"
    );
    let mut listener = |name: &str, settings: &[(String, String)]| {
        text += &format!("[listener.{name}]\nbind = \"127.0.0.1:0\"\nchain = \"main\"\n");
        // All dialogues come from one network, many times, and some of them guess.
        text += "limits.auth-failures-per-address = 1_000_000\nlimits.auth-failure-delay = \"0 s\"\n";
        if !settings.iter().any(|(name, _)| name == "auth-in-clear") {
            text += "auth-in-clear = true\n";
        }
        for (name, value) in settings {
            let is_list = ["extensions-off", "extensions-on", "auth-mechanisms"].contains(&name.as_str());
            let list: Vec<&str> = value.split_whitespace().collect();
            if name == "tls" {
                text += "certificates = [{ chain = 'mx.pem', key = 'mx.key' }]\n";
            }
            text += &if is_list { format!("{name} = {list:?}\n") } else { format!("{name} = {value}\n") };
        }
    };
    listener(PLAIN, &[]);
    for script in scripts.iter().filter(|script| !script.dialogue.settings.is_empty()) {
        listener(&script.name, &script.dialogue.settings);
    }
    text
}

/// Puts the certificate of the listeners with TLS into the directory.
fn with_certificate(folder: &Path) -> Authority {
    let authority = Authority::new();
    authority.issue(&["mx.example.org"]).write(folder, "mx");
    authority
}

/// Where dialogues are played, one after the other.
struct Stage {
    /// The listeners.
    addresses: BTreeMap<String, SocketAddr>,
    /// Where Maildirs are.
    mail: PathBuf,
    /// Who has made the certificate.
    authority: Authority,
}

/// Replies without the one thing that is another a second later: the date up to which messages can be held (RFC 4865).
fn timeless(replies: &str) -> String {
    let line = |line: &str| match line.split_once("FUTURERELEASE ") {
        Some((before, bounds)) if bounds.contains(':') => format!("{before}FUTURERELEASE *\n"),
        Some(_) | None => format!("{line}\n"),
    };
    replies.lines().map(line).collect()
}

impl Stage {
    /// As it is, then with each of these cuts, until one goes another way.
    async fn play_with(&self, script: &Script, cuts: &[Cut]) -> Result<(), String> {
        let expected = self.play(script, Cut::Nowhere).await?;
        for cut in cuts {
            let found = self.play(script, *cut).await?;
            if timeless(&found) != timeless(&expected) {
                return Err(format!("{}, cut {cut:?}: other replies:\n{found}instead of\n{expected}", script.name));
            }
        }
        Ok(())
    }

    /// Answers what the server said, without the identifiers of transactions; or where it went another way.
    async fn play(&self, script: &Script, cut: Cut) -> Result<String, String> {
        if script.looks_at_mail() {
            new_files(&self.mail)
                .iter()
                .for_each(|path| fs::remove_file(path).expect("a message of the last dialogue"));
        }
        let stream = TcpStream::connect(self.addresses[script.listener()]).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("a socket");
        let mut client = Client {
            stream: Some(Box::new(stream)),
            unread: Vec::new(),
            said: String::new(),
            taken: None,
            cut,
            octets: 0,
        };
        for step in &script.dialogue.steps {
            let done = timeout(PATIENCE, self.act(&mut client, &step.action)).await;
            let done = done.unwrap_or_else(|_| Err(format!("nothing more comes behind {:?}", client.unread())));
            done.map_err(|problem| format!("{}, line {}, cut {cut:?}: {problem}", script.name, step.line))?;
        }
        if !script.ends_closed() {
            let end = timeout(PATIENCE, client.end()).await.unwrap_or_else(|_| Err("it does not end".to_owned()));
            end.map_err(|problem| format!("{}, at the end, cut {cut:?}: {problem}", script.name))?;
        }
        Ok(client.said)
    }

    async fn act(&self, client: &mut Client, action: &Action) -> Result<(), String> {
        match action {
            Action::Client(octets) => {
                client.write(octets).await;
                Ok(())
            }
            Action::Server(expected) => {
                for expected in expected {
                    client.expect(expected).await?;
                }
                Ok(())
            }
            Action::Tls => client.start_tls(&self.authority).await,
            Action::Closed => client.closed().await,
            Action::Stored(count) => {
                let mut ids: Vec<String> = self.stored().into_iter().map(|stored| stored.id).collect();
                ids.sort();
                ids.dedup();
                if ids.len() == *count { Ok(()) } else { Err(format!("{} messages are stored", ids.len())) }
            }
            Action::Message(octets) => {
                let id = client.taken.as_deref().ok_or("no message was taken")?;
                let stored = self.stored().into_iter().find(|stored| stored.id == id);
                let found = stored.ok_or_else(|| format!("the message {id} is not stored"))?.octets;
                if found == *octets { Ok(()) } else { Err(format!("stored is {:?}", String::from_utf8_lossy(&found))) }
            }
        }
    }

    fn stored(&self) -> Vec<Stored> {
        new_files(&self.mail).iter().map(|path| Stored::read(path)).collect()
    }
}

/// In clear or below TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The client of one dialogue.
struct Client {
    /// None during a handshake.
    stream: Option<Box<dyn Stream>>,
    /// What was received, and is not expected yet.
    unread: Vec<u8>,
    /// All lines of the server, without the identifiers of transactions.
    said: String,
    /// The identifier of the last message that the server took.
    taken: Option<String>,
    cut: Cut,
    /// How many octets were sent.
    octets: usize,
}

impl Client {
    async fn start_tls(&mut self, authority: &Authority) -> Result<(), String> {
        if !self.unread.is_empty() {
            return Err(format!("the server says {:?}", self.unread()));
        }
        let connector = TlsConnector::from(Arc::new(authority.client()));
        let name = ServerName::try_from("mx.example.org").expect("a name");
        let stream = self.stream.take().expect("no handshake has failed");
        let secured = connector.connect(name, stream).await.map_err(|error| error.to_string())?;
        self.stream = Some(Box::new(secured));
        Ok(())
    }

    fn stream(&mut self) -> &mut dyn Stream {
        self.stream.as_deref_mut().expect("no handshake has failed")
    }

    async fn write(&mut self, octets: &[u8]) {
        let begun = self.octets;
        self.octets += octets.len();
        match self.cut {
            Cut::Nowhere => self.write_whole(octets).await,
            Cut::Everywhere => {
                for octet in octets.chunks(1) {
                    self.write_whole(octet).await;
                    give_way().await;
                }
            }
            Cut::Behind(place) => {
                let (before, behind) = octets.split_at(place.saturating_sub(begun).min(octets.len()));
                self.write_whole(before).await;
                give_way().await;
                self.write_whole(behind).await;
            }
        }
    }

    /// A server that has closed does not take it, which shows when its words are read.
    async fn write_whole(&mut self, octets: &[u8]) {
        let stream = self.stream();
        if stream.write_all(octets).await.is_ok() {
            let _ = stream.flush().await;
        }
    }

    /// Reads until all of what is expected was said.
    async fn expect(&mut self, expected: &Expected) -> Result<(), String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line().await?);
            let borrowed: Vec<&str> = lines.iter().map(String::as_str).collect();
            if Expected::all_match(std::slice::from_ref(expected), &borrowed) {
                return Ok(());
            }
            let goes_on = matches!(expected, Expected::Reply(code) if borrowed.iter().all(|line| line.starts_with(&format!("{code}-"))));
            if !goes_on {
                return Err(format!("the server says\n    {}\nand not\n    {expected}", lines.join("\n    ")));
            }
        }
    }

    /// The next line, without its CRLF.
    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(at) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).take(at).collect();
                let line = String::from_utf8(line).map_err(|error| error.to_string())?;
                let (text, id) = line.split_once(TAKEN).map_or((&*line, None), |(text, id)| (text, Some(id)));
                self.said += &format!("{text}\n");
                self.taken = id.map(str::to_owned).or(self.taken.take());
                return Ok(line);
            }
            match self.read().await {
                Ok(0) => return Err(format!("the server has closed behind {:?}", self.unread())),
                Ok(_) => {}
                Err(error) => return Err(format!("{error} behind {:?}", self.unread())),
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let stream = self.stream.as_deref_mut().expect("no handshake has failed");
        stream.read_buf(&mut self.unread).await
    }

    async fn read_to_end(&mut self) -> io::Result<()> {
        while self.read().await? > 0 {}
        Ok(())
    }

    /// The server has closed, and said nothing else.
    async fn closed(&mut self) -> Result<(), String> {
        match self.read_to_end().await {
            // Where it closes before it has read all that a client has sent.
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error.to_string()),
            Ok(()) | Err(_) => {}
        }
        if self.unread.is_empty() { Ok(()) } else { Err(format!("the server says {:?}", self.unread())) }
    }

    /// The server has not closed; and when the client does, it has nothing more to say.
    async fn end(&mut self) -> Result<(), String> {
        give_way().await;
        let now = tokio::select! {
            biased;
            read = self.read() => Some(read.map_err(|error| error.to_string())?),
            () = std::future::ready(()) => None,
        };
        match now {
            None => {}
            Some(0) => return Err("the server has closed".to_owned()),
            Some(_) => return Err(format!("the server says {:?}", self.unread())),
        }
        self.stream().shutdown().await.map_err(|error| error.to_string())?;
        self.read_to_end().await.map_err(|error| error.to_string())?;
        if self.unread.is_empty() { Ok(()) } else { Err(format!("the server says {:?}", self.unread())) }
    }

    fn unread(&self) -> String {
        String::from_utf8_lossy(&self.unread).into_owned()
    }
}

/// Lets a gateway on this thread read what it was sent: once around for the system to tell it, once for it to read, once more
/// because the task that comes back here is looked at before all others.
async fn give_way() {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

/// The listener of dialogues without settings.
const PLAIN: &str = "plain";

/// What the gateway says of a message that it has taken.
const TAKEN: &str = " Taken as ";

/// At most so many places of one dialogue are cut at.
const MOST_CUTS: usize = 400;

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

// Logs in by both mechanisms, sends to one who is there and one who is not, is refused with a wrong password, and then sends by a
// pool of connections. Arguments: port, `Later` or `Implicit`, the file of an authority.
const fs = require("node:fs");
const nodemailer = require("nodemailer");

const [port, tls, authority] = process.argv.slice(2);

const transport = (authMethod, pass, further) =>
  nodemailer.createTransport({
    host: "127.0.0.1",
    port: Number(port),
    name: "client.example",
    secure: tls === "Implicit",
    requireTLS: true,
    authMethod,
    auth: { user: "alice@example.org", pass },
    tls: { ca: fs.readFileSync(authority), servername: "mx.example.org" },
    ...further,
  });

const message = (subject, to) => ({
  from: "Alice <alice@example.org>",
  to,
  subject,
  text: "Gr\u00fc\u00dfe\n.\n.dot\n",
  attachments: [{ filename: "octets.bin", content: Buffer.alloc(200000, 7) }],
});

async function main() {
  for (const method of ["PLAIN", "LOGIN"]) {
    const info = await transport(method, "wonderland").sendMail(message(method, "bob@example.org, carol@example.org"));
    console.log(method, info.accepted.join(), info.rejected.join(), info.rejectedErrors[0].responseCode, info.response.slice(0, 9));
  }
  const wrong = transport("PLAIN", "looking-glass").sendMail(message("wrong", "bob@example.org"));
  console.log(await wrong.then(() => "let in", (error) => `${error.code} ${error.responseCode}`));
  const pool = transport("PLAIN", "wonderland", { pool: true, maxConnections: 3 });
  const numbers = Array.from({ length: 12 }, (_, number) => number);
  const sent = await Promise.all(numbers.map((number) => pool.sendMail(message(`pool ${number}`, "alice@example.org"))));
  pool.close();
  console.log("pool", sent.filter((info) => info.response.startsWith("250 2.0.0 ")).length);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

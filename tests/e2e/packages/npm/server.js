const http = require("node:http");
const greet = require("greeting");

const guest = "world";

http.createServer((_, answer) => answer.end(`${greet(guest)}\n`)).listen(8080);

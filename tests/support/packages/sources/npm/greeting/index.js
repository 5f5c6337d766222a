const address = require("politeness");

module.exports = (name) => `Good morning, ${address(name)}`;

module.exports = (name) => `dear ${name}`;

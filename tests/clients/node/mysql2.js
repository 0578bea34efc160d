// mysql2 as most people use it.
"use strict";

require("./sessions")(require("mysql2"), (user) => ({ user }));

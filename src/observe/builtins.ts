/**
 * Builtins: `http` and `https` as `require` gives them.
 *
 * An `import` of `node:http` reads each of its exports, and from Node 22 on some of them (`WebSocket`)
 * are made when they are read: all of Node's undici is loaded, some 40 ms of every start. An
 * application that imports it pays that itself; one of CommonJS shall not because of us.
 */
export const http: typeof import('node:http') = process.getBuiltinModule('node:http')
export const https: typeof import('node:https') = process.getBuiltinModule('node:https')

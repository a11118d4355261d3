// A stand-in for the image `node:22-bookworm-slim`, for machines that reach no image registry: a busybox, the shared
// libraries of this machine, and the Node.js and npm of the package registry.
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"

const output = (command, args) => {
  const { status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${stderr}`)
  return stdout
}

/** Copies a file and what it links to, at the same path below `root`. */
const copy = (root, path) => {
  const target = join(root, path)
  mkdirSync(dirname(target), { recursive: true })
  cpSync(path, target, { dereference: true })
}

/**
 * Fills `root` with the files of the image. `node` is a Node.js program, `npm` the folder of npm's package. What is
 * missing on this machine is the error.
 */
export const fill = (root, { node, npm }) => {
  const busybox = ["/bin/busybox", "/usr/bin/busybox"].find(existsSync)
  if (busybox === undefined) throw new Error("no busybox: apt-get install busybox-static")
  if (/dynamically/.test(output("file", ["-L", busybox]))) throw new Error("busybox is not static")
  for (const folder of [
    "bin",
    "etc",
    "tmp",
    "usr/local/bin",
    "usr/local/lib/node_modules",
    "root",
    "proc",
    "dev",
    "sys"
  ])
    mkdirSync(join(root, folder), { recursive: true })
  cpSync(busybox, join(root, "bin/busybox"))
  for (const name of output(busybox, ["--list"]).trim().split("\n")) {
    if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name))
  }
  mkdirSync(join(root, "usr/bin"), { recursive: true })
  symlinkSync("/bin/env", join(root, "usr/bin/env"))
  cpSync(node, join(root, "usr/local/bin/node"))
  cpSync(npm, join(root, "usr/local/lib/node_modules/npm"), { recursive: true })
  for (const name of ["npm", "npx"])
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(root, "usr/local/bin", name))
  const libraries = output("ldd", [node]).matchAll(/(?:=> )?(\/\S+) \(0x/g)
  for (const [, path] of libraries) copy(root, path)
  for (const path of ["/etc/ssl/certs/ca-certificates.crt", "/etc/nsswitch.conf"])
    if (existsSync(path)) copy(root, path)
  for (const path of [
    "/lib/x86_64-linux-gnu/libnss_dns.so.2",
    "/lib/x86_64-linux-gnu/libnss_files.so.2",
    "/lib/x86_64-linux-gnu/libresolv.so.2"
  ])
    if (existsSync(path)) copy(root, path)
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n")
  writeFileSync(join(root, "etc/group"), "root:x:0:\nnode:x:1000:\n")
}

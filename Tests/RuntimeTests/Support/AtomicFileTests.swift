import Foundation
import Runtime
import Testing

struct AtomicFileTests {
    private func names(_ directory: URL) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    }

    @Test func appearsWholeOrNotAtAll() throws {
        try temporaryDirectory { directory in
            let url = directory.appendingPathComponent("answer.json")
            try AtomicFile.write("before", to: url)
            let file = try AtomicFile(url)
            try file.write("after")
            #expect(try String(contentsOf: url, encoding: .utf8) == "before")
            #expect(try names(directory).count == 2)
            try file.commit()
            #expect(try String(contentsOf: url, encoding: .utf8) == "after")
            #expect(try names(directory) == ["answer.json"])
            #expect(wording { try file.write("more") }?.contains("closed") == true)
            #expect(wording { try file.commit() }?.contains("closed") == true)
        }
    }

    @Test func leavesNothingWhenGivenUp() throws {
        try temporaryDirectory { directory in
            let url = directory.appendingPathComponent("a")
            do {
                let file = try AtomicFile(url)
                try file.write("half")
            }
            #expect(try names(directory) == [])
            let file = try AtomicFile(url)
            file.cancel()
            #expect(try names(directory) == [])
        }
    }

    @Test func refusesToReplace() throws {
        try temporaryDirectory { directory in
            let url = directory.appendingPathComponent("a")
            try AtomicFile.write("1", to: url, overwrite: false)
            #expect(throws: FileWriteError.exists(path: url.path)) {
                try AtomicFile.write("2", to: url, overwrite: false)
            }
            // Created by another between opening and commit.
            let other = directory.appendingPathComponent("b")
            let file = try AtomicFile(other, overwrite: false)
            try file.write("mine")
            try Data("theirs".utf8).write(to: other)
            #expect(throws: FileWriteError.exists(path: other.path)) { try file.commit() }
            #expect(try String(contentsOf: other, encoding: .utf8) == "theirs")
            #expect(try names(directory) == ["a", "b"])
        }
    }

    @Test func followsLinksAndKeepsPermissions() throws {
        try temporaryDirectory { directory in
            let real = directory.appendingPathComponent("real")
            let link = directory.appendingPathComponent("link")
            try AtomicFile.write("1", to: real)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: real.path)
            try FileManager.default.createSymbolicLink(at: link, withDestinationURL: real)
            try AtomicFile.write("2", to: link)
            #expect(try String(contentsOf: real, encoding: .utf8) == "2")
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == real.path)
            let mode = try FileManager.default.attributesOfItem(atPath: real.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test func saysWhatFailed() throws {
        try temporaryDirectory { directory in
            #expect(throws: FileWriteError.isDirectory(path: directory.path)) {
                try AtomicFile.write("", to: directory)
            }
            let missing = directory.appendingPathComponent("no/such/a")
            #expect(wording { try AtomicFile.write("", to: missing) }?.contains("create the directory first") == true)
            try AtomicFile.write("", to: directory.appendingPathComponent("file"))
            let under = directory.appendingPathComponent("file/a")
            #expect(wording { try AtomicFile.write("", to: under) }?.contains("Not a directory") == true)
            let long = directory.appendingPathComponent(String(repeating: "x", count: 300))
            #expect(wording { try AtomicFile.write("", to: long) }?.contains("File name too long") == true)
            #expect(try names(directory) == ["file"])
        }
    }

    #if os(Linux)
        @Test func fullDevice() throws {
            let said = wording { try AtomicFile.write("some bytes", to: URL(fileURLWithPath: "/dev/full")) }
            #expect(said?.contains("No space left on device") == true, "\(said ?? "")")
            #expect(FileManager.default.fileExists(atPath: "/dev/full"), "a device is never renamed onto")
            try AtomicFile.write("some bytes", to: URL(fileURLWithPath: "/dev/null"))
        }

        @Test func fullDisk() throws {
            try temporaryDirectory { directory in
                let mount = directory.appendingPathComponent("small")
                try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
                // Where mounting is not allowed, /dev/full above must do.
                guard try run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount.path) else { return }
                defer { _ = try? run("umount", mount.path) }
                let url = mount.appendingPathComponent("a")
                try AtomicFile.write("before", to: url)
                let said = wording { try AtomicFile.write(Data(count: 1 << 20), to: url) }
                #expect(said?.contains("No space left on device") == true, "\(said ?? "")")
                #expect(try String(contentsOf: url, encoding: .utf8) == "before")
                #expect(try names(mount) == ["a"], "the temporary file is gone")
            }
        }

        @Test func readOnlyDirectory() throws {
            // Root may write anywhere but into a file system without files to create.
            let said = wording { try AtomicFile.write("", to: URL(fileURLWithPath: "/proc/self/answer")) }
            #expect(said?.contains("/proc/self/answer: cannot create a file there") == true, "\(said ?? "")")
        }

        private func run(_ arguments: String...) throws -> Bool {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = arguments
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus == 0
        }
    #endif
}

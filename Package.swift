// swift-tools-version:6.1
// The Qubic AI Compute Layer, offline: qquant, qinfer and qbench over one runtime.
import PackageDescription

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "qubic-ai-compute-layer",
    products: [
        .executable(name: "qquant", targets: ["qquant"]),
        .executable(name: "qinfer", targets: ["qinfer"]),
        .executable(name: "qbench", targets: ["qbench"]),
        .library(name: "Runtime", targets: ["Runtime"]),
    ],
    traits: [
        .trait(name: "MPI", description: "Pipelines over several processes and machines, by Open MPI (libopenmpi-dev)")
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // C: kernels and module maps. Only Runtime/Kernels imports the first two.
        .target(name: "CKernels"),
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(
            name: "CHDF5", pkgConfig: "hdf5-serial", providers: [.apt(["libhdf5-dev"])]),
        .systemLibrary(
            name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),

        // MPI, with the trait of that name only: without it CMPI is empty.
        .systemLibrary(
            name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
        .target(
            name: "CMPI",
            dependencies: [.target(name: "COpenMPI", condition: .when(traits: ["MPI"]))],
            cSettings: [.define("QUBIC_MPI", .when(traits: ["MPI"]))]),

        // Libraries. Arrows point one way: tools → QDashboard → Reporting → Runtime → CKernels.
        .target(
            name: "Runtime",
            dependencies: [
                "CKernels", "COpenBLAS", "CHDF5", "CPCRE2", crypto,
                .target(name: "CMPI", condition: .when(traits: ["MPI"])),
            ]),
        .target(name: "Science", dependencies: ["Runtime"]),
        .target(
            name: "Reporting",
            dependencies: [
                "Runtime", "Yams",
                .product(name: "GRDB", package: "GRDB.swift"),
            ]),
        .target(name: "QDashboard", dependencies: ["Runtime", "Science", "Reporting", "CZlib", crypto]),
        .target(name: "Benchmark", dependencies: ["Runtime", "QDashboard", "Reporting", "Science"]),

        // Tools: flags, validation, exit codes. ToolSupport holds what the three have in common.
        .target(name: "ToolSupport", dependencies: ["Runtime", argumentParser]),
        .executableTarget(name: "qquant", dependencies: ["Runtime", "QDashboard", "ToolSupport", argumentParser]),
        .executableTarget(
            name: "qinfer",
            dependencies: ["Runtime", "QDashboard", "Science", "Reporting", "ToolSupport", argumentParser]),
        .executableTarget(
            name: "qbench",
            dependencies: ["Runtime", "QDashboard", "Reporting", "Benchmark", "ToolSupport", argumentParser]),

        .testTarget(name: "CKernelsTests", dependencies: ["CKernels"]),
        .testTarget(name: "RuntimeTests", dependencies: ["Runtime", crypto]),
        .testTarget(name: "QDashboardTests", dependencies: ["QDashboard", "Reporting", "Runtime", crypto]),
        .testTarget(
            name: "BenchmarkTests", dependencies: ["Benchmark", "QDashboard", "Reporting", "Runtime"]),
        .testTarget(name: "ScienceTests", dependencies: ["Science"]),
        .testTarget(
            name: "ReportingTests",
            dependencies: ["Reporting", "Runtime", .product(name: "GRDB", package: "GRDB.swift")]),
        .testTarget(
            name: "CLITests", dependencies: ["qquant", "qinfer", "qbench", "Reporting", "Runtime", "Yams", crypto]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .c11
)

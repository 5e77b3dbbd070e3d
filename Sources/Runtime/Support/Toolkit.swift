/// What this build is.
public enum Toolkit {
    /// Ranks of one job must have the same.
    public static let version = "0.5.0"
}

package org.tessera.prompt;

/** The control tokens around pictures, under preprocessor_config.json's names. */
public record ImageTokens(
    String imStart,
    String imEnd,
    String sliceStart,
    String sliceEnd,
    String unk,
    String imIdStart,
    String imIdEnd) {

  /** MiniCPM-V 2.6's own. */
  public static ImageTokens defaults() {
    return new ImageTokens(
        "<image>", "</image>", "<slice>", "</slice>", "<unk>", "<image_id>", "</image_id>");
  }
}

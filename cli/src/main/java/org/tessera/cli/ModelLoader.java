package org.tessera.cli;

import java.nio.file.Path;
import org.tessera.api.LoadOptions;
import org.tessera.api.Tessera;

/** Loads the model that a command line asks for, with a bar while it takes long. */
final class ModelLoader {
  private final Output output;
  private final Installation installation;

  ModelLoader(Output output, Installation installation) {
    this.output = output;
    this.installation = installation;
  }

  /** The checkpoint's directory: the one given, or the demo model. */
  Path checkpoint(ModelArguments arguments) {
    return arguments.model.orElseGet(installation::requireDemoModel);
  }

  /**
   * @throws org.tessera.error.TesseraException as {@link Tessera#load(Path, LoadOptions)}
   */
  Tessera load(ModelArguments arguments) {
    Path checkpoint = checkpoint(arguments);
    if (arguments.model.isEmpty()) {
      output.note(
          "no --model: this is the project's small demo model, which knows its own pictures only");
    }
    try (LoadingBar bar = new LoadingBar(output)) {
      return Tessera.load(checkpoint, arguments.toLoadOptions().withProgress(bar));
    }
  }
}

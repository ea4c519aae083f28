// Asks several questions about one study at the same time: what they have in common, the pictures, is looked at once.
// ask PACKAGE IMAGE QUESTION...

#include <fleming.hpp>

#include <iostream>
#include <string>
#include <vector>

int main(int argc, char **argv) {
    if (argc < 4) {
        std::cerr << "usage: " << argv[0] << " PACKAGE IMAGE QUESTION...\n";
        return 2;
    }
    try {
        fleming::engine_options setup;
        setup.slots = static_cast<std::size_t>(argc - 3);
        std::cout << "takes " << fleming::memory(argv[1], setup).total / 1000000 << " MB\n";
        const fleming::engine engine(argv[1], setup);

        std::vector<fleming::pending> answers;
        for (int place = 3; place < argc; ++place)
            answers.push_back(engine.submit(fleming::request(argv[place]).image(argv[2])));
        for (std::size_t place = 0; place < answers.size(); ++place) {
            const auto reply = answers[place].wait();
            std::cout << argv[place + 3] << "\n  " << reply.answer() << " (" << reply.facts().cached_tokens << " of "
                      << reply.facts().prompt_tokens << " prompt tokens were in memory)\n";
        }
    } catch (const fleming::error &error) {
        std::cerr << error.what() << "\n" << error.hint() << "\n";
        return 1;
    }
}

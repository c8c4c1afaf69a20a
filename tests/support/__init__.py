"""What tests of several folders use: servers, a stand-in for PBS with its recorded answers, cases of layers."""
